/* SPDX-License-Identifier: Apache-2.0
 *
 * yaml_tree: one YAML document as nodes that know their line. The only place that knows libyaml.
 *
 * A node is a positive number. An alias is the node it names, so the tree may share nodes and even hold
 * a cycle; whoever walks it must be bounded by what it looks for, not by the tree. Refused with a message
 * that names the line: invalid UTF-8, control bytes, a byte order mark, a second document, tags, and
 * nesting deeper than TK_YAML_DEPTH_MAX. Not thread-safe while parsing; immutable after.
 */
#ifndef TK_DAEMON_YAML_TREE_H
#define TK_DAEMON_YAML_TREE_H

#include "base/err.h"
#include "base/must.h"
#include "base/str.h"

#define TK_YAML_BYTES_MAX (1u << 20)
#define TK_YAML_DEPTH_MAX 32

struct tk_yaml;

enum tk_yaml_kind { TK_YAML_TEXT, TK_YAML_LIST, TK_YAML_MAP };

/* why gets "NAME:LINE: ...". SYNTAX, TOO_BIG, NO_MEMORY. */
TK_CHECKED enum tk_err tk_yaml_parse(const char *name, struct tk_str text, struct tk_yaml **out, char *why,
                                     size_t why_size);
/* Wipes every text in it first: some are secrets. */
void tk_yaml_free(struct tk_yaml **yaml);

int tk_yaml_root(const struct tk_yaml *yaml); /* 0: the document is empty */
enum tk_yaml_kind tk_yaml_kind(const struct tk_yaml *yaml, int node);
unsigned tk_yaml_line(const struct tk_yaml *yaml, int node); /* from 1 */
/* Of a TEXT. */
struct tk_str tk_yaml_text(const struct tk_yaml *yaml, int node);
/* A TEXT without quotes: one that YAML could also read as a number or as nothing. */
bool tk_yaml_is_plain(const struct tk_yaml *yaml, int node);
/* Entries of a LIST or MAP. */
unsigned tk_yaml_size(const struct tk_yaml *yaml, int node);
int tk_yaml_item(const struct tk_yaml *yaml, int list, unsigned i);
void tk_yaml_pair(const struct tk_yaml *yaml, int map, unsigned i, int *key, int *value);

#endif
