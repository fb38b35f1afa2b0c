/* SPDX-License-Identifier: MIT */
/*
 * Files and folders as they are at one moment. Everything below a tree is counted and shared: a copy of a tree
 * costs as much as its list of files, whatever their size, and a page is copied when one of its owners writes to
 * it.
 */
#ifndef TESTS_WORLD_DISK_TREE_H
#define TESTS_WORLD_DISK_TREE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { W_SECTOR = 512, W_PAGE = 4096 };
#define W_ROOT    0u
#define W_NOWHERE UINT32_MAX

typedef struct w_text {
	_Atomic uint32_t refs;
	uint32_t hash;
	char text[];
} w_text;

typedef struct w_page {
	_Atomic uint32_t refs;
	_Atomic uint64_t hash; /* 0: not known */
	uint8_t bytes[W_PAGE];
} w_page;

/* The bytes of a file. A page that is NULL or beyond n_pages is all zeros. */
typedef struct w_body {
	_Atomic uint32_t refs;
	uint64_t size;
	size_t n_pages;
	w_page **pages;
} w_body;

typedef struct w_node {
	int folder;
	w_body *body; /* NULL for a folder, and for a file of which nothing is left */
} w_node;

typedef struct w_name {
	uint32_t parent, node;
	w_text *text;
} w_name;

/* Nodes are known by their place in the list, which they keep. Node 0 is the root. */
typedef struct w_tree {
	w_node *nodes;
	size_t n_nodes, cap_nodes;
	w_name *names;
	size_t n_names, cap_names;
} w_tree;

/* Memory for tests: ends the program if there is none. */
void *w_grow(void *list, size_t *cap, size_t need, size_t item);
void *w_zalloc(size_t count, size_t size);

w_text *w_text_new(const char *text, size_t length);
w_text *w_text_share(w_text *text);
void w_text_drop(w_text *text);

void w_tree_init(w_tree *tree);
void w_tree_free(w_tree *tree);
void w_tree_copy(w_tree *to, const w_tree *from);
/* Forget what no path leads to. */
void w_tree_prune(w_tree *tree);
/* Make node `node` a file or folder without a name. */
void w_tree_node(w_tree *tree, uint32_t node, int folder);
void w_tree_name(w_tree *tree, uint32_t parent, w_text *text, uint32_t node); /* replaces */
void w_tree_unname(w_tree *tree, uint32_t parent, const w_text *text);
/* The node of a name in a folder, W_NOWHERE if there is none. */
uint32_t w_tree_find(const w_tree *tree, uint32_t parent, const char *name, size_t length);
int w_tree_named(const w_tree *tree, uint32_t node);
/* The path of a node into out; 0 if no path leads there. */
int w_tree_path(const w_tree *tree, uint32_t node, char *out, size_t size);
uint64_t w_tree_hash(const w_tree *tree);

/* Bytes of a file of the tree; what lies outside its size is zeros. */
void w_tree_read(const w_tree *tree, uint32_t node, uint64_t offset, void *out, size_t size);
/* A sector wherever it is, beyond the size too; NULL for zeros. */
const uint8_t *w_tree_sector(const w_tree *tree, uint32_t node, uint64_t sector);
/* Does not change the size. */
void w_tree_write(w_tree *tree, uint32_t node, uint64_t offset, const void *data, size_t size);
void w_tree_zero_from(w_tree *tree, uint32_t node, uint64_t offset);
void w_tree_set_size(w_tree *tree, uint32_t node, uint64_t size);
uint64_t w_tree_size(const w_tree *tree, uint32_t node);
/* Give up a file's bytes. */
void w_tree_empty(w_tree *tree, uint32_t node);

#endif
