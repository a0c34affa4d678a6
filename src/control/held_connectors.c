#include "control/held_connectors.h"
#include "base/log.h"
#include "connector/content_hash.h"
#include "control/connectors.h"
#include "control/parent_client.h"
#include "control/workers.h"
#include "os/file.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Counted: one for the table, one for each use. */
struct item {
	struct held_connector public;
	_Atomic unsigned holders;
	_Atomic bool outdated;
	struct arena *arena;
	struct connector_manifest *manifest;
	struct str folder; /* as it was asked for */
	uint32_t watch;    /* 0 = none: outdated from the beginning */
	uint64_t last_used;
	uint64_t strange; /* of the table, before it was watched */

	pthread_mutex_t copying; /* of what follows */
	int copy_fd;             /* -1 = none yet */
	uint8_t copy_hash[CODE_FILE_HASH];
};

struct held_connectors {
	struct control *control;
	pthread_mutex_t opening; /* one at a time asks the parent */
	pthread_mutex_t lock;    /* all below; held for moments */
	struct item *items[HELD_CONNECTORS_MAX];
	uint64_t uses;
	uint64_t strange; /* changes that were told of watches that are not in the table (yet) */
};

struct held_connectors *held_connectors_new(struct control *control)
{
	struct held_connectors *held = NEW(struct held_connectors);
	held->control = control;
	pthread_mutex_init(&held->opening, NULL);
	pthread_mutex_init(&held->lock, NULL);
	return held;
}

static void let_go(struct item *item)
{
	if (item == NULL || atomic_fetch_sub(&item->holders, 1) != 1)
		return;
	if (item->public.manifest_fd >= 0)
		close(item->public.manifest_fd);
	if (item->public.module_fd >= 0)
		close(item->public.module_fd);
	if (item->copy_fd >= 0)
		close(item->copy_fd);
	pthread_mutex_destroy(&item->copying);
	connector_manifest_free(item->manifest);
	arena_free(item->arena);
	free(item);
}

void held_connectors_free(struct held_connectors *held)
{
	if (held == NULL)
		return;
	for (size_t i = 0; i < HELD_CONNECTORS_MAX; i++)
		let_go(held->items[i]);
	pthread_mutex_destroy(&held->opening);
	pthread_mutex_destroy(&held->lock);
	free(held);
}

static struct item *item_of(const struct held_connector *connector)
{
	return (struct item *)((uintptr_t)connector - offsetof(struct item, public));
}

void held_connector_release(const struct held_connector *connector)
{
	if (connector != NULL)
		let_go(item_of(connector));
}

/* ------------------------------------------------------------------------------------------------------------- changes */

struct look {
	struct held_connectors *held;
	char *folder;
};

static int list_rows(struct control *control, struct arena *arena, struct connector_rows *ret, struct err *err)
{
	struct db_tx *tx = db_read(control->db);
	int rc = connectors_list(tx, arena, ret, err);
	db_done(tx);
	return rc;
}

/* Opening it tells what changed. */
static void look_at_folder(void *user)
{
	struct err err;
	err_clear(&err);
	struct look *look = user;
	struct control *control = look->held->control;
	AUTO(arena) *arena = arena_new();
	struct connector_rows rows = {0};
	if (list_rows(control, arena, &rows, &err) < 0)
		log_error("connectors_not_read", log_err(&err));
	for (size_t i = 0; i < rows.n; i++) {
		if (!str_eq(rows.items[i].path, str_from(look->folder)))
			continue;
		AUTO_CONNECTOR opened = CONNECTOR_OPENED_INIT;
		if (connector_open(control, arena, rows.items[i].fqn, &opened, &err) < 0)
			log_warn("connector_changed", log_str("connector", rows.items[i].fqn), log_err(&err));
	}
	free(look->folder);
	free(look);
}

/* When there is too much to do the next use sees it. */
static void look_later(struct held_connectors *held, struct str folder)
{
	struct look *look = NEW(struct look);
	*look = (struct look){held, str_dup(folder)};
	if (workers_add(held->control->workers, look_at_folder, look))
		return;
	free(look->folder);
	free(look);
}

/* ------------------------------------------------------------------------------------------------------------- opening */

/* What is wrong with it the user finds again, and says. */
static void read_manifest(struct item *item)
{
	AUTO_BUF text = BUF_INIT(MANIFEST_MAX);
	if (file_read_whole(item->public.manifest_fd, "manifest.toml", &text, NULL) < 0)
		return;
	item->public.manifest_bytes = arena_str(item->arena, buf_str(&text));
	AUTO(connector_manifest) *manifest =
		connector_manifest_parse(item->public.manifest_bytes, "manifest.toml", NULL);
	if (manifest != NULL && connector_manifest_validate(manifest, "manifest.toml", NULL) == 0)
		item->public.manifest = item->manifest = TAKE(manifest);
}

/* Watched first: what changes from then on is told. One that cannot be watched is good for one use. */
static struct item *open_item(struct held_connectors *held, struct str path, struct err *err)
{
	struct parent_client *parent = held->control->parent;
	struct item *item = NEW(struct item);
	*item = (struct item){
		.holders = 2, .arena = arena_new(), .public = {.manifest_fd = -1, .module_fd = -1}, .copy_fd = -1};
	pthread_mutex_init(&item->copying, NULL);
	item->folder = arena_str(item->arena, path);
	pthread_mutex_lock(&held->lock);
	item->strange = held->strange;
	pthread_mutex_unlock(&held->lock);
	const struct parent_watch watch = {SUPERVISE_WATCH_CONNECTOR, true, path};
	if (parent_watch(parent, &watch, item->arena, &item->watch, NULL, NULL) < 0)
		item->outdated = true;
	if (parent_open_folder(parent, path, item->arena, &item->public.path, &item->public.manifest_fd,
			       &item->public.module_fd, err) == 0) {
		read_manifest(item);
		return item;
	}
	if (item->watch != 0)
		parent_unwatch(parent, item->watch);
	let_go(item);
	let_go(item);
	return NULL;
}

/* Also false when one of them was replaced, which is seen before the parent looks. */
static bool is_fit(const struct item *item)
{
	struct stat manifest, module;
	return !item->outdated && fstat(item->public.manifest_fd, &manifest) == 0 && manifest.st_nlink > 0 &&
	       fstat(item->public.module_fd, &module) == 0 && module.st_nlink > 0;
}

static struct item *find(struct held_connectors *held, struct str path)
{
	struct item *found = NULL;
	pthread_mutex_lock(&held->lock);
	for (size_t i = 0; i < HELD_CONNECTORS_MAX && found == NULL; i++) {
		struct item *item = held->items[i];
		if (item == NULL || !str_eq(item->folder, path) || !is_fit(item))
			continue;
		item->last_used = ++held->uses;
		atomic_fetch_add(&item->holders, 1);
		found = item;
	}
	pthread_mutex_unlock(&held->lock);
	return found;
}

/* Under the lock: that of the same folder, a free place, or that of the one that was used least lately. */
static struct item **place_for(struct held_connectors *held, struct str path)
{
	struct item **place = &held->items[0];
	for (size_t i = 0; i < HELD_CONNECTORS_MAX; i++) {
		struct item **at = &held->items[i];
		if (*at != NULL && str_eq((*at)->folder, path))
			return at;
		if (*place != NULL && (*at == NULL || (*at)->last_used < (*place)->last_used))
			place = at;
	}
	return place;
}

static void keep(struct held_connectors *held, struct item *item)
{
	pthread_mutex_lock(&held->lock);
	struct item **place = place_for(held, item->folder);
	struct item *before = *place;
	item->last_used = ++held->uses;
	bool told = held->strange != item->strange; /* perhaps of this one */
	if (told)
		item->outdated = true;
	*place = item;
	pthread_mutex_unlock(&held->lock);
	if (told)
		look_later(held, item->folder);
	if (before != NULL && before->watch != 0)
		parent_unwatch(held->control->parent, before->watch);
	let_go(before);
}

const struct held_connector *held_connector_use(struct held_connectors *held, struct str path, struct err *err)
{
	struct item *item = find(held, path);
	if (item != NULL)
		return &item->public;
	pthread_mutex_lock(&held->opening);
	item = find(held, path); /* somebody else may have opened it meanwhile */
	if (item == NULL) {
		item = open_item(held, path, err);
		if (item != NULL)
			keep(held, item);
	}
	pthread_mutex_unlock(&held->opening);
	return item != NULL ? &item->public : NULL;
}

static int copy_anew(struct item *item, struct str manifest, const uint8_t hash[CODE_FILE_HASH], struct err *err)
{
	int fd = content_copy(item->public.module_fd, "connector.wasm", manifest, hash, err);
	if (fd < 0)
		return -1;
	if (item->copy_fd >= 0)
		close(item->copy_fd);
	item->copy_fd = fd;
	memcpy(item->copy_hash, hash, sizeof item->copy_hash);
	return 0;
}

int held_connector_copy(const struct held_connector *connector, struct str manifest, const uint8_t hash[CODE_FILE_HASH],
			struct err *err)
{
	struct item *item = item_of(connector);
	int fd = -1;
	pthread_mutex_lock(&item->copying);
	bool there = item->copy_fd >= 0 && memcmp(item->copy_hash, hash, sizeof item->copy_hash) == 0;
	if (there || copy_anew(item, manifest, hash, err) == 0) {
		fd = fcntl(item->copy_fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			(void)!fail_errno(err, "cannot keep a file in memory");
	}
	pthread_mutex_unlock(&item->copying);
	return fd;
}

void held_connector_outdated(const struct held_connector *connector)
{
	item_of(connector)->outdated = true;
}

void held_connectors_told(struct held_connectors *held, uint32_t watch)
{
	char *folder = NULL;
	pthread_mutex_lock(&held->lock);
	for (size_t i = 0; i < HELD_CONNECTORS_MAX && folder == NULL; i++) {
		struct item *item = held->items[i];
		if (item == NULL || item->watch != watch)
			continue;
		item->outdated = true;
		folder = str_dup(item->folder);
	}
	held->strange += folder == NULL;
	pthread_mutex_unlock(&held->lock);
	if (folder != NULL)
		look_later(held, str_from(folder));
	free(folder);
}
