/* SPDX-License-Identifier: Apache-2.0 */
#include "core/key_pack.h"

#include <string.h>

#define TIMES_NR  3
#define HAS_ALERT 128u /* beside a limit's flags */
#define HAS_BASE  64u

/* A member that is added to a key is either packed here or known to who keeps the pack. */
_Static_assert(sizeof(struct tk_limit) == 48 && sizeof(struct tk_key) == 1152,
               "every member of a key is packed");
_Static_assert(TK_KIND_NR <= UINT8_MAX && TK_PRIVACY_NR <= UINT8_MAX && TK_WINDOW_NR <= 16 &&
                       TK_METER_NR <= 16 && TK_LIMIT_FLAGS < HAS_BASE &&
                       TK_DESCRIPTION_BYTES_MAX <= UINT8_MAX,
               "each has room");

static void times_of(const struct tk_key *key, int64_t times[TIMES_NR]) {
        times[0] = key->expires_ms;
        times[1] = key->last_used_ms;
        times[2] = key->revoked_ms;
}

static unsigned scope_words(const struct tk_scopes *scopes) {
        unsigned nr = TK_SCOPE_WORDS;
        while (nr > 0 && scopes->word[nr - 1] == 0)
                nr--;
        return nr;
}

/* | anchor 32 | days 16 | flags 8 | meter 4 | kind 4 |, the cap, the alert and the base if there is one. The
 * word behind it. */
static uint64_t *pack_limit(uint64_t *word, const struct tk_limit *limit) {
        const uint64_t flags = limit->flags | (limit->alert ? HAS_ALERT : 0) | (limit->base ? HAS_BASE : 0);
        *word++ = (uint64_t)(uint32_t)limit->window.anchor_day << 32 | (uint64_t)limit->window.days << 16 |
                  flags << 8 | (uint64_t)limit->meter << 4 | (uint64_t)limit->window.kind;
        *word++ = limit->cap;
        if (limit->alert)
                *word++ = limit->alert;
        if (limit->base) {
                *word++ = (uint64_t)limit->base_number;
                *word++ = (uint64_t)limit->base;
        }
        return word;
}

static const uint64_t *read_limit(const uint64_t *word, struct tk_limit *out) {
        const uint64_t shape = *word++;
        *out = (struct tk_limit){.window = {.kind = (enum tk_window_kind)(shape & 15),
                                            .days = (uint16_t)(shape >> 16),
                                            .anchor_day = (int32_t)(uint32_t)(shape >> 32)},
                                 .meter = (enum tk_meter)(shape >> 4 & 15),
                                 .flags = (uint8_t)(shape >> 8 & (HAS_BASE - 1)),
                                 .cap = *word++};
        if (shape >> 8 & HAS_ALERT)
                out->alert = *word++;
        if (shape >> 8 & HAS_BASE) {
                out->base_number = (int64_t)*word++;
                out->base = (int64_t)*word++;
        }
        return word;
}

static void fill_head(struct tk_key_pack *pack, const struct tk_key *key) {
        int64_t times[TIMES_NR];
        times_of(key, times);
        *pack = (struct tk_key_pack){.created_ms = key->created_ms,
                                     .kind = (uint8_t)key->kind,
                                     .privacy = (uint8_t)key->privacy,
                                     .period = (uint8_t)key->period,
                                     .scopes_nr = (uint8_t)scope_words(&key->scopes),
                                     .limits_nr = (uint8_t)key->limits_nr,
                                     .text_len =
                                             (uint8_t)strnlen(key->description, TK_DESCRIPTION_BYTES_MAX)};
        memcpy(pack->last6, key->last6, sizeof pack->last6);
        for (unsigned i = 0; i < TIMES_NR; i++)
                if (times[i] != 0)
                        pack->times |= (uint8_t)(1u << i);
}

size_t tk_key_pack_size(const struct tk_key *key) {
        struct tk_key_pack pack;
        MUST(key->limits_nr <= TK_KEY_LIMITS_MAX);
        fill_head(&pack, key);
        size_t words = pack.scopes_nr;
        for (unsigned i = 0; i < TIMES_NR; i++)
                words += pack.times >> i & 1;
        for (unsigned i = 0; i < key->limits_nr; i++)
                words += 2 + (key->limits[i].alert != 0) + 2 * (key->limits[i].base != 0);
        return sizeof pack + words * sizeof *pack.words + pack.text_len;
}

void tk_key_pack_fill(struct tk_key_pack *pack, const struct tk_key *key) {
        int64_t times[TIMES_NR];
        uint64_t *word = pack->words;
        fill_head(pack, key);
        times_of(key, times);
        for (unsigned i = 0; i < TIMES_NR; i++)
                if (times[i] != 0)
                        *word++ = (uint64_t)times[i];
        for (unsigned i = 0; i < pack->scopes_nr; i++)
                *word++ = key->scopes.word[i];
        for (unsigned i = 0; i < key->limits_nr; i++)
                word = pack_limit(word, &key->limits[i]);
        memcpy(word, key->description, pack->text_len);
}

void tk_key_pack_read(const struct tk_key_pack *pack, struct tk_key *out) {
        const uint64_t *word = pack->words;
        out->created_ms = pack->created_ms;
        out->kind = (enum tk_key_kind)pack->kind;
        out->privacy = (enum tk_privacy)pack->privacy;
        out->period = (enum tk_window_kind)pack->period;
        out->expires_ms = pack->times & 1 ? (int64_t)*word++ : 0;
        out->last_used_ms = pack->times & 2 ? (int64_t)*word++ : 0;
        out->revoked_ms = pack->times & 4 ? (int64_t)*word++ : 0;
        for (unsigned i = 0; i < TK_SCOPE_WORDS; i++)
                out->scopes.word[i] = i < pack->scopes_nr ? *word++ : 0;
        out->limits_nr = pack->limits_nr;
        for (unsigned i = 0; i < pack->limits_nr; i++)
                word = read_limit(word, &out->limits[i]);
        memcpy(out->last6, pack->last6, sizeof out->last6);
        memcpy(out->description, word, pack->text_len);
        out->description[pack->text_len] = '\0';
}
