#include "control/action_files.h"
#include "base/escape.h"
#include "crypto/digest.h"
#include "os/file.h"
#include <stdlib.h>
#include <sys/stat.h>

/* An error of its own, off the stack. */
static struct err *keep_error(const struct err *error)
{
	struct err *kept = xmalloc(sizeof *kept);
	*kept = *error;
	return kept;
}

/* --------------------------------------------------------------------------------------------------------------- files */

struct action_file *action_file_hold(struct action_file *file)
{
	atomic_fetch_add(&file->holders, 1);
	return file;
}

void action_file_release(struct action_file *file)
{
	if (file == NULL || atomic_fetch_sub(&file->holders, 1) != 1)
		return;
	if (file->fd >= 0)
		close(file->fd);
	action_free(file->action);
	free(file->error);
	arena_free(file->arena);
	free(file);
}

bool action_file_is_current(const struct action_file *file)
{
	struct stat info;
	AUTO_BUF text = BUF_INIT(ACTION_MAX);
	if (file->fd < 0 || file->action == NULL || fstat(file->fd, &info) != 0 || info.st_nlink == 0 ||
	    file_read_whole(file->fd, file->file_name.p, &text, NULL) < 0)
		return false;
	unsigned char hash[SHA256_SIZE];
	sha256(buf_str(&text), hash);
	return memcmp(hash, file->action->sha256, sizeof hash) == 0;
}

static int read_action(struct action_file *file, struct err *err)
{
	AUTO_BUF text = BUF_INIT(ACTION_MAX);
	if (file_read_whole(file->fd, file->file_name.p, &text, err) < 0)
		return err_at(err, file->file_name.p, 0);
	file->action = action_parse(buf_str(&text), file->file_name.p, err);
	return file->action != NULL ? 0 : -1;
}

/* Names are shown to people and agents, and go through JSON. */
static int check_name(struct str name, struct err *err)
{
	char shown[ESCAPE_SHOWN_SIZE];
	AUTO_BUF visible = BUF_INIT(4 * (size_t)SUPERVISE_NAME_MAX + ESCAPE_CHAR_MAX);
	escape_visible(&visible, name);
	if (str_eq(buf_str(&visible), name))
		return 0;
	return fail(err, ERR_VALIDATION_ERROR, "the name '%s' has characters that cannot be seen; rename the file",
		    escape_shown(name, shown));
}

static struct action_file *file_new(struct str folder, const struct parent_file *listed)
{
	struct action_file *file = NEW(struct action_file);
	*file = (struct action_file){.holders = 1, .arena = arena_new(), .stamp = listed->stamp, .fd = -1};
	file->file_name = arena_str(file->arena, listed->name);
	file->path = arena_printf(file->arena, "%.*s%s%.*s", STR_FMT(folder), str_eq(folder, S("/")) ? "" : "/",
				  STR_FMT(listed->name));
	return file;
}

struct place {
	struct parent_client *parent;
	uint32_t watch;
	struct str folder;
};

/* `before`: what was under that name, or NULL. */
static struct action_file *file_open(const struct place *place, const struct parent_file *listed,
				     const struct action_file *before)
{
	struct err err;
	err_clear(&err);
	struct action_file *file = file_new(place->folder, listed);
	int rc = check_name(listed->name, &err);
	if (rc == 0) {
		file->fd = parent_open_file(place->parent, place->watch, listed->name, &file->stamp, &err);
		rc = file->fd >= 0 ? read_action(file, &err) : -1;
	}
	if (rc < 0)
		file->error = keep_error(&err);
	if (file->action != NULL)
		file->name = file->action->name;
	else if (before != NULL)
		file->name = arena_str(file->arena, before->name);
	return file;
}

/* --------------------------------------------------------------------------------------------------------------- links */

struct action_link *action_link_new(struct str path, uint64_t linked_ns)
{
	struct action_link *link = NEW(struct action_link);
	link->path = str_dup(path);
	link->linked_ns = linked_ns;
	link->files.cap = ACTION_FILES_MAX;
	return link;
}

static void forget_files(struct action_link *link)
{
	for (size_t i = 0; i < link->files.n; i++)
		action_file_release(link->files.items[i]);
	vec_release(&link->files);
}

void action_link_free(struct parent_client *parent, struct action_link *link)
{
	if (parent != NULL && link->watch != 0)
		parent_unwatch(parent, link->watch);
	forget_files(link);
	free(link->error);
	free(link->path);
	free(link);
}

static struct action_file *file_named(const struct action_link *link, struct str name)
{
	for (size_t i = 0; i < link->files.n; i++) {
		if (str_eq(link->files.items[i]->file_name, name))
			return link->files.items[i];
	}
	return NULL;
}

/* The folder of the files: the link itself, or where its one file is. */
static struct str folder_of(const struct action_link *link)
{
	struct str path = str_from(link->path);
	if (!str_ends(path, S(".md")))
		return path;
	size_t slash = str_find_last_char(path, '/');
	return str_slice(path, 0, MAX(slash, (size_t)1));
}

static int list(struct action_link *link, const struct action_reading *reading, struct arena *arena,
		struct parent_files *ret, struct err *err)
{
	const struct parent_watch watch = {SUPERVISE_WATCH_ACTIONS, true, str_from(link->path)};
	if (link->watch == 0 && parent_watch(reading->parent, &watch, arena, &link->watch, NULL, err) < 0)
		return -1;
	if (parent_list(reading->parent, link->watch, arena, ret, err) < 0)
		return -1;
	if (ret->n == 0 && str_ends(str_from(link->path), S(".md")))
		return fail(err, ERR_NOT_FOUND, "the linked file '%s' is not there", link->path);
	if (ret->n > reading->room)
		return fail(err, ERR_LIMIT, "more than %d linked action files are not read", ACTION_FILES_MAX);
	return 0;
}

void action_link_read(struct action_link *link, const struct action_reading *reading)
{
	struct err err;
	err_clear(&err);
	AUTO(arena) *arena = arena_new();
	struct parent_files listed = {0};
	free(TAKE(link->error));
	if (list(link, reading, arena, &listed, &err) < 0) {
		link->error = keep_error(&err);
		if (err.class == ERR_UNAVAILABLE) /* that says nothing about them */
			return;
	}
	VEC(struct action_file *) files = VEC_INIT(ACTION_FILES_MAX);
	const struct place place = {reading->parent, link->watch, folder_of(link)};
	for (size_t i = 0; i < listed.n && i < reading->room; i++) {
		struct action_file *before = file_named(link, listed.items[i].name);
		bool same = before != NULL && before != reading->force && before->stamp == listed.items[i].stamp;
		struct action_file *file =
			same ? action_file_hold(before) : file_open(&place, &listed.items[i], before);
		if (!vec_push(&files, file))
			BUG("more files than there is room for");
	}
	forget_files(link);
	link->files.items = files.items;
	link->files.n = files.n;
	link->files.room = files.room;
}
