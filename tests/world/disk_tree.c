/* SPDX-License-Identifier: MIT */
#include "disk_tree.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *w_zalloc(size_t count, size_t size)
{
	void *p = calloc(count > 0 ? count : 1, size);

	if (p == NULL) {
		(void)fputs("out of memory in a test\n", stderr);
		abort();
	}
	return p;
}

void *w_grow(void *list, size_t *cap, size_t need, size_t item)
{
	size_t now = *cap;

	if (need <= now)
		return list;
	while (now < need)
		now = now < 16 ? 16 : now * 2;
	list = realloc(list, now * item);
	if (list == NULL) {
		(void)fputs("out of memory in a test\n", stderr);
		abort();
	}
	*cap = now;
	return list;
}

static uint64_t mix(uint64_t h)
{
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	return h ^ (h >> 32);
}

static uint64_t hash_of(const uint8_t *bytes, size_t size)
{
	uint64_t h = 0x9e3779b97f4a7c15u ^ size, word;
	size_t i;

	for (i = 0; i + sizeof word <= size; i += sizeof word) {
		memcpy(&word, bytes + i, sizeof word);
		h = (h ^ word) * 0xff51afd7ed558ccdu;
		h ^= h >> 29;
	}
	for (; i < size; i++)
		h = (h ^ bytes[i]) * 0xff51afd7ed558ccdu;
	return mix(h);
}

/* ---- texts ---- */

w_text *w_text_new(const char *text, size_t length)
{
	w_text *t = w_zalloc(1, sizeof *t + length + 1);

	atomic_init(&t->refs, 1);
	memcpy(t->text, text, length);
	t->hash = (uint32_t)hash_of((const uint8_t *)text, length);
	return t;
}

w_text *w_text_share(w_text *text)
{
	if (text != NULL)
		atomic_fetch_add(&text->refs, 1);
	return text;
}

void w_text_drop(w_text *text)
{
	if (text != NULL && atomic_fetch_sub(&text->refs, 1) == 1)
		free(text);
}

/* ---- pages and bodies ---- */

static void page_drop(w_page *page)
{
	if (page != NULL && atomic_fetch_sub(&page->refs, 1) == 1)
		free(page);
}

static w_body *body_new(void)
{
	w_body *body = w_zalloc(1, sizeof *body);

	atomic_init(&body->refs, 1);
	return body;
}

static void body_drop(w_body *body)
{
	size_t i;

	if (body == NULL || atomic_fetch_sub(&body->refs, 1) != 1)
		return;
	for (i = 0; i < body->n_pages; i++)
		page_drop(body->pages[i]);
	free(body->pages);
	free(body);
}

/* The node's body, its own: nobody else sees what is changed there. */
static w_body *own_body(w_tree *tree, uint32_t node)
{
	w_body *old = tree->nodes[node].body, *body;
	size_t i;

	if (old != NULL && atomic_load(&old->refs) == 1)
		return old;
	body = body_new();
	tree->nodes[node].body = body;
	if (old == NULL)
		return body;
	body->size = old->size;
	body->n_pages = old->n_pages;
	body->pages = w_zalloc(old->n_pages, sizeof(w_page *));
	for (i = 0; i < old->n_pages; i++) {
		body->pages[i] = old->pages[i];
		if (body->pages[i] != NULL)
			atomic_fetch_add(&body->pages[i]->refs, 1);
	}
	body_drop(old);
	return body;
}

static w_page *own_page(w_body *body, size_t index)
{
	w_page *old, *page;
	size_t cap = body->n_pages;

	if (index >= body->n_pages) {
		body->pages = w_grow(body->pages, &cap, index + 1, sizeof(w_page *));
		memset(body->pages + body->n_pages, 0, (cap - body->n_pages) * sizeof(w_page *));
		body->n_pages = cap;
	}
	old = body->pages[index];
	if (old == NULL || atomic_load(&old->refs) > 1) {
		page = w_zalloc(1, sizeof *page);
		atomic_init(&page->refs, 1);
		if (old != NULL)
			memcpy(page->bytes, old->bytes, W_PAGE);
		page_drop(old);
		body->pages[index] = page;
	}
	atomic_store(&body->pages[index]->hash, 0);
	return body->pages[index];
}

static int all_zero(const void *data, size_t size)
{
	const uint8_t *bytes = data;

	return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* 0 for a page of zeros: it is as good as none. */
static uint64_t page_hash(w_page *page, size_t index)
{
	uint64_t h;

	if (page == NULL)
		return 0;
	h = atomic_load(&page->hash);
	if (h == 0) {
		h = all_zero(page->bytes, W_PAGE) ? 1 : hash_of(page->bytes, W_PAGE) | 2;
		atomic_store(&page->hash, h);
	}
	return h == 1 ? 0 : mix(h + index * 0x9e3779b97f4a7c15u);
}

void w_tree_read(const w_tree *tree, uint32_t node, uint64_t offset, void *out, size_t size)
{
	const w_body *body = tree->nodes[node].body;
	uint8_t *to = out;
	size_t index, at, part;

	memset(out, 0, size);
	if (body == NULL || offset >= body->size)
		return;
	if (size > body->size - offset)
		size = (size_t)(body->size - offset);
	for (; size > 0; size -= part, to += part, offset += part) {
		index = (size_t)(offset / W_PAGE);
		at = (size_t)(offset % W_PAGE);
		part = W_PAGE - at < size ? W_PAGE - at : size;
		if (index < body->n_pages && body->pages[index] != NULL)
			memcpy(to, body->pages[index]->bytes + at, part);
	}
}

void w_tree_write(w_tree *tree, uint32_t node, uint64_t offset, const void *data, size_t size)
{
	w_body *body = own_body(tree, node);
	const uint8_t *from = data;
	size_t index, at, part;

	for (; size > 0; size -= part, from += part, offset += part) {
		index = (size_t)(offset / W_PAGE);
		at = (size_t)(offset % W_PAGE);
		part = W_PAGE - at < size ? W_PAGE - at : size;
		if ((index >= body->n_pages || body->pages[index] == NULL) && all_zero(from, part))
			continue;
		memcpy(own_page(body, index)->bytes + at, from, part);
	}
}

const uint8_t *w_tree_sector(const w_tree *tree, uint32_t node, uint64_t sector)
{
	const w_body *body = tree->nodes[node].body;
	size_t index = (size_t)(sector / (W_PAGE / W_SECTOR));

	if (body == NULL || index >= body->n_pages || body->pages[index] == NULL)
		return NULL;
	return body->pages[index]->bytes + sector % (W_PAGE / W_SECTOR) * W_SECTOR;
}

/* Is anything but zeros there? Asked first, because what is shared would have to be copied. */
static int empty_from(const w_body *body, size_t index, size_t at)
{
	for (; index < body->n_pages; index++, at = 0) {
		if (body->pages[index] != NULL && !all_zero(body->pages[index]->bytes + at, W_PAGE - at))
			return 0;
	}
	return 1;
}

void w_tree_zero_from(w_tree *tree, uint32_t node, uint64_t offset)
{
	size_t index = (size_t)(offset / W_PAGE), at = (size_t)(offset % W_PAGE);
	w_body *body = tree->nodes[node].body;

	if (body == NULL || empty_from(body, index, at))
		return;
	body = own_body(tree, node);
	if (at > 0 && body->pages[index] != NULL)
		memset(own_page(body, index)->bytes + at, 0, W_PAGE - at);
	for (index += at > 0 ? 1 : 0; index < body->n_pages; index++) {
		page_drop(body->pages[index]);
		body->pages[index] = NULL;
	}
}

void w_tree_set_size(w_tree *tree, uint32_t node, uint64_t size)
{
	if (w_tree_size(tree, node) != size)
		own_body(tree, node)->size = size;
}

uint64_t w_tree_size(const w_tree *tree, uint32_t node)
{
	return tree->nodes[node].body != NULL ? tree->nodes[node].body->size : 0;
}

void w_tree_empty(w_tree *tree, uint32_t node)
{
	body_drop(tree->nodes[node].body);
	tree->nodes[node].body = NULL;
}

/* ---- trees ---- */

void w_tree_init(w_tree *tree)
{
	memset(tree, 0, sizeof *tree);
	w_tree_node(tree, W_ROOT, 1);
}

void w_tree_free(w_tree *tree)
{
	size_t i;

	for (i = 0; i < tree->n_nodes; i++)
		body_drop(tree->nodes[i].body);
	for (i = 0; i < tree->n_names; i++)
		w_text_drop(tree->names[i].text);
	free(tree->nodes);
	free(tree->names);
	memset(tree, 0, sizeof *tree);
}

/* Which nodes a path leads to. Names stand in any order, so it is looked until nothing is found any more. */
static uint8_t *reachable(const w_tree *tree)
{
	uint8_t *seen = w_zalloc(tree->n_nodes, 1);
	int more = 1;
	size_t i;

	seen[W_ROOT] = 1;
	while (more) {
		more = 0;
		for (i = 0; i < tree->n_names; i++) {
			if (!seen[tree->names[i].parent] || seen[tree->names[i].node])
				continue;
			seen[tree->names[i].node] = 1;
			more |= tree->nodes[tree->names[i].node].folder;
		}
	}
	return seen;
}

void w_tree_copy(w_tree *to, const w_tree *from)
{
	size_t i;

	memset(to, 0, sizeof *to);
	to->nodes = w_grow(NULL, &to->cap_nodes, from->n_nodes, sizeof(w_node));
	to->names = w_grow(NULL, &to->cap_names, from->n_names, sizeof(w_name));
	to->n_nodes = from->n_nodes;
	to->n_names = from->n_names;
	for (i = 0; i < from->n_nodes; i++) {
		to->nodes[i] = from->nodes[i];
		if (to->nodes[i].body != NULL)
			atomic_fetch_add(&to->nodes[i].body->refs, 1);
	}
	for (i = 0; i < from->n_names; i++) {
		to->names[i] = from->names[i];
		(void)w_text_share(to->names[i].text);
	}
}

void w_tree_prune(w_tree *tree)
{
	uint8_t *seen = reachable(tree);
	size_t i, n = 0;

	for (i = 0; i < tree->n_nodes; i++) {
		if (!seen[i])
			w_tree_empty(tree, (uint32_t)i);
	}
	for (i = 0; i < tree->n_names; i++) {
		if (seen[tree->names[i].parent])
			tree->names[n++] = tree->names[i];
		else
			w_text_drop(tree->names[i].text);
	}
	tree->n_names = n;
	free(seen);
}

void w_tree_node(w_tree *tree, uint32_t node, int folder)
{
	tree->nodes = w_grow(tree->nodes, &tree->cap_nodes, (size_t)node + 1, sizeof(w_node));
	if (node >= tree->n_nodes) {
		memset(tree->nodes + tree->n_nodes, 0, (node + 1 - tree->n_nodes) * sizeof(w_node));
		tree->n_nodes = (size_t)node + 1;
	}
	tree->nodes[node].folder = folder;
	if (!folder)
		tree->nodes[node].body = body_new();
}

static w_name *name_at(const w_tree *tree, uint32_t parent, const char *name, size_t length)
{
	uint32_t hash = (uint32_t)hash_of((const uint8_t *)name, length);
	size_t i;

	for (i = 0; i < tree->n_names; i++) {
		if (tree->names[i].parent != parent || tree->names[i].text->hash != hash)
			continue;
		if (strncmp(tree->names[i].text->text, name, length) == 0 &&
		    tree->names[i].text->text[length] == '\0')
			return &tree->names[i];
	}
	return NULL;
}

void w_tree_name(w_tree *tree, uint32_t parent, w_text *text, uint32_t node)
{
	w_tree_unname(tree, parent, text);
	tree->names = w_grow(tree->names, &tree->cap_names, tree->n_names + 1, sizeof(w_name));
	tree->names[tree->n_names++] = (w_name){.parent = parent, .node = node, .text = w_text_share(text)};
}

void w_tree_unname(w_tree *tree, uint32_t parent, const w_text *text)
{
	w_name *name = name_at(tree, parent, text->text, strlen(text->text));

	if (name == NULL)
		return;
	w_text_drop(name->text);
	*name = tree->names[--tree->n_names];
}

uint32_t w_tree_find(const w_tree *tree, uint32_t parent, const char *name, size_t length)
{
	const w_name *found = name_at(tree, parent, name, length);

	return found != NULL ? found->node : W_NOWHERE;
}

static const w_name *name_of(const w_tree *tree, uint32_t node)
{
	size_t i;

	for (i = 0; i < tree->n_names; i++) {
		if (tree->names[i].node == node)
			return &tree->names[i];
	}
	return NULL;
}

int w_tree_named(const w_tree *tree, uint32_t node)
{
	return name_of(tree, node) != NULL;
}

int w_tree_path(const w_tree *tree, uint32_t node, char *out, size_t size)
{
	char rest[PATH_MAX] = "", longer[PATH_MAX];
	const w_name *name;

	while (node != W_ROOT) {
		name = name_of(tree, node);
		if (name == NULL)
			return 0;
		if (snprintf(longer, sizeof longer, "/%s%s", name->text->text, rest) >= (int)sizeof longer)
			return 0;
		memcpy(rest, longer, sizeof rest);
		node = name->parent;
	}
	return snprintf(out, size, "%s", rest[0] != '\0' ? rest : "/") < (int)size;
}

static uint64_t node_hash(const w_tree *tree, uint32_t node)
{
	const w_body *body = tree->nodes[node].body;
	uint64_t h = 0x1234567u;
	size_t i;

	if (tree->nodes[node].folder || body == NULL)
		return tree->nodes[node].folder ? 7 : 11;
	h = mix(h + body->size);
	for (i = 0; i < body->n_pages; i++)
		h += page_hash(body->pages[i], i);
	return h;
}

/* Sums, so that neither the order of the list nor the numbers of nodes count: a folder is hashed by its path. */
uint64_t w_tree_hash(const w_tree *tree)
{
	uint64_t *path = w_zalloc(tree->n_nodes, sizeof *path), h = 0, p;
	int more = 1;
	size_t i;

	path[W_ROOT] = 1;
	while (more) {
		more = 0;
		for (i = 0; i < tree->n_names; i++) {
			const w_name *name = &tree->names[i];

			if (path[name->parent] == 0 || !tree->nodes[name->node].folder || path[name->node] != 0)
				continue;
			path[name->node] = mix(path[name->parent] * 31 + name->text->hash) | 1;
			more = 1;
		}
	}
	for (i = 0; i < tree->n_names; i++) {
		if (path[tree->names[i].parent] == 0)
			continue;
		p = mix(path[tree->names[i].parent] * 31 + tree->names[i].text->hash);
		/* "rings" holds the path of a folder of this machine, which is another one in each run. */
		if (strcmp(tree->names[i].text->text, "rings") != 0)
			p ^= node_hash(tree, tree->names[i].node) * 3;
		h += mix(p);
	}
	free(path);
	return mix(h + 1);
}
