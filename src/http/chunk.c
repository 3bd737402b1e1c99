/* SPDX-License-Identifier: Apache-2.0 */
#include "http/chunk.h"

enum { SIZE, EXT, LF, DATA, DATA_CR, DATA_LF, TRAILER, TRAILER_LF, DONE, BAD, TOO_BIG };

#define TO(s) (1u << (s))

/* Which state may follow which. */
static const unsigned allowed[] = {
        [SIZE] = TO(EXT) | TO(LF) | TO(BAD),
        [EXT] = TO(LF) | TO(BAD) | TO(TOO_BIG),
        [LF] = TO(DATA) | TO(TRAILER) | TO(BAD),
        [DATA] = TO(DATA_CR),
        [DATA_CR] = TO(DATA_LF) | TO(BAD),
        [DATA_LF] = TO(SIZE) | TO(BAD),
        [TRAILER] = TO(TRAILER_LF) | TO(BAD) | TO(TOO_BIG),
        [TRAILER_LF] = TO(TRAILER) | TO(DONE) | TO(BAD),
        [DONE] = 0,
        [BAD] = 0,
        [TOO_BIG] = 0,
};

static void move(struct tk_chunk *chunk, unsigned to) {
        MUST(allowed[chunk->state] & TO(to));
        chunk->state = to;
        chunk->count = 0;
}

/* 15 digits are 60 bits, so the size cannot overflow. */
static void step_size(struct tk_chunk *chunk, unsigned char c) {
        int digit = tk_hex_digit(c);
        if (digit >= 0 && chunk->count < 15) {
                chunk->left = chunk->left * 16 + (unsigned)digit;
                chunk->count++;
        } else if (chunk->count == 0 || (c != ';' && c != '\r')) {
                move(chunk, BAD);
        } else {
                move(chunk, c == ';' ? EXT : LF);
        }
}

static bool text(unsigned char c) {
        return c == '\t' || (c >= ' ' && c != 0x7f);
}

static void step_ext(struct tk_chunk *chunk, unsigned char c) {
        if (c == '\r')
                move(chunk, LF);
        else if (!text(c))
                move(chunk, BAD);
        else if (++chunk->count > TK_CHUNK_EXT_MAX)
                move(chunk, TOO_BIG);
}

static void step_lf(struct tk_chunk *chunk, unsigned char c) {
        if (c != '\n') {
                move(chunk, BAD);
                return;
        }
        move(chunk, chunk->left ? DATA : TRAILER);
}

/* A trailer line is NAME: VALUE, or empty and the end. It is not kept, so its name is checked loosely. */
static void step_trailer(struct tk_chunk *chunk, unsigned char c) {
        if (c == '\r' && (chunk->line == 0 || chunk->colon)) {
                move(chunk, TRAILER_LF);
                return;
        }
        bool nameless = c == ':' && chunk->line == 0;
        bool spaced = (c == ' ' || c == '\t') && !chunk->colon;
        if (!text(c) || nameless || spaced) {
                move(chunk, BAD);
                return;
        }
        chunk->colon |= c == ':';
        chunk->line++;
        if (++chunk->trailer > TK_CHUNK_TRAILER_MAX)
                move(chunk, TOO_BIG);
}

static void step_trailer_lf(struct tk_chunk *chunk, unsigned char c) {
        if (c != '\n') {
                move(chunk, BAD);
                return;
        }
        move(chunk, chunk->line ? TRAILER : DONE);
        chunk->line = 0;
        chunk->colon = false;
}

static void step(struct tk_chunk *chunk, unsigned char c) {
        switch (chunk->state) {
        case SIZE:
                step_size(chunk, c);
                break;
        case EXT:
                step_ext(chunk, c);
                break;
        case LF:
                step_lf(chunk, c);
                break;
        case DATA_CR:
                move(chunk, c == '\r' ? DATA_LF : BAD);
                break;
        case DATA_LF:
                move(chunk, c == '\n' ? SIZE : BAD);
                break;
        case TRAILER:
                step_trailer(chunk, c);
                break;
        default:
                MUST(chunk->state == TRAILER_LF);
                step_trailer_lf(chunk, c);
        }
}

enum tk_chunk_step tk_chunk_next(struct tk_chunk *chunk, struct tk_str *in, struct tk_str *data) {
        for (;;) {
                if (chunk->state == DONE)
                        return TK_CHUNK_DONE;
                if (chunk->state == BAD)
                        return TK_CHUNK_BAD;
                if (chunk->state == TOO_BIG)
                        return TK_CHUNK_TOO_BIG;
                if (in->len == 0)
                        return TK_CHUNK_MORE;
                if (chunk->state == DATA) {
                        size_t n = in->len < chunk->left ? in->len : (size_t)chunk->left;
                        *data = tk_str_head(*in, n);
                        *in = tk_str_skip(*in, n);
                        chunk->left -= n;
                        if (chunk->left == 0)
                                move(chunk, DATA_CR);
                        return TK_CHUNK_DATA;
                }
                step(chunk, (unsigned char)in->at[0]);
                *in = tk_str_skip(*in, 1);
        }
}
