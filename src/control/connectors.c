#include "control/connectors.h"
#include "base/hex.h"
#include "base/limits.h"
#include "base/log.h"
#include "connector/content_hash.h"
#include "control/actions.h"
#include "control/bindings.h"
#include "control/event.h"
#include "control/held_connectors.h"
#include "control/known_connectors.h"
#include "control/parent_client.h"
#include "base/vec.h"
#include "os/file.h"

/* ---------------------------------------------------------------------------------------------------------------- rows */

#define COLUMNS                                                                                                        \
	"SELECT fqn, path, name, content_hash, version, manifest, linked_ns, last_used_ns"                             \
	" FROM connectors LEFT JOIN connector_use ON connector = fqn "

static struct connector_row read_row(struct arena *arena, const struct db_stmt *q)
{
	return (struct connector_row){
		.fqn = arena_str(arena, db_str(q, 0)),
		.path = arena_str(arena, db_str(q, 1)),
		.name = arena_str(arena, db_str(q, 2)),
		.content_hash = arena_str(arena, db_str(q, 3)),
		.version = arena_str(arena, db_str(q, 4)),
		.manifest = arena_str(arena, db_str(q, 5)),
		.linked_ns = db_time(q, 6),
		.last_used_ns = db_time(q, 7),
	};
}

int connectors_list(struct db_tx *tx, struct arena *arena, struct connector_rows *ret, struct err *err)
{
	VEC(struct connector_row) rows = VEC_INIT(100000);
	struct db_stmt *q = db_stmt(tx, COLUMNS "ORDER BY fqn");
	int got;
	while ((got = db_step(q, err)) == 1) {
		if (!vec_push(&rows, read_row(arena, q)))
			break;
	}
	db_finish(q);
	if (got >= 0) {
		ret->items = arena_array(arena, rows.n + 1, sizeof *ret->items);
		ret->n = rows.n;
		for (size_t i = 0; i < rows.n; i++)
			ret->items[i] = rows.items[i];
	}
	vec_release(&rows);
	return got < 0 ? -1 : 0;
}

/* How many rows: 0, 1, or 2 for several; *ret is the first. */
static int find_by(struct db_tx *tx, const char *sql, struct arena *arena, struct str name, struct connector_row *ret,
		   struct err *err)
{
	struct db_stmt *q = db_stmt(tx, sql);
	db_bind_str(q, name);
	int got = db_step(q, err);
	if (got == 1)
		*ret = read_row(arena, q);
	int second = got == 1 ? db_step(q, err) : 0;
	db_finish(q);
	return got < 0 || second < 0 ? -1 : got + second;
}

static int find_row(struct db_tx *tx, struct arena *arena, struct str fqn, struct connector_row *ret, struct err *err)
{
	struct connector_row row = {0};
	int got = find_by(tx, COLUMNS "WHERE fqn = ?", arena, fqn, &row, err);
	if (got == 0)
		got = find_by(tx, COLUMNS "WHERE name = ? ORDER BY fqn LIMIT 2", arena, fqn, &row, err);
	if (got < 0)
		return -1;
	if (got == 0)
		return fail(err, ERR_CONNECTOR_NOT_INSTALLED,
			    "there is no connector '%.*s'; see `aileron connector list`, or link one with `aileron "
			    "connector link DIR`",
			    STR_FMT(fqn));
	if (got == 2)
		return fail(err, ERR_VALIDATION_ERROR, "several connectors are called '%.*s'; give the full name",
			    STR_FMT(fqn));
	*ret = row;
	return 0;
}

int connectors_find(struct control *control, struct arena *arena, struct str fqn, struct connector_row *ret,
		    struct err *err)
{
	struct db_tx *tx = db_read(control->db);
	int rc = find_row(tx, arena, fqn, ret, err);
	db_done(tx);
	return rc;
}

/* ------------------------------------------------------------------------------------------------------------- opening */

/* Where in the folder, in the words that editors take: "/home/ada/notes/manifest.toml:7: …". */
static int tell_where(const struct connector_opened *opened, struct err *err)
{
	if (err != NULL && err->line > 0)
		return wrap(err, "%.*s/manifest.toml:%u", STR_FMT(opened->path), (unsigned)err->line);
	return wrap(err, "%.*s/manifest.toml", STR_FMT(opened->path));
}

static int read_manifest(struct connector_opened *opened, struct err *err)
{
	opened->own_manifest = connector_manifest_parse(opened->manifest_bytes, "manifest.toml", err);
	opened->manifest = opened->own_manifest;
	if (opened->manifest == NULL || connector_manifest_validate(opened->own_manifest, "manifest.toml", err) < 0)
		return tell_where(opened, err);
	return 0;
}

static int read_bytes(struct arena *arena, int fd, struct connector_opened *opened, struct err *err)
{
	AUTO_BUF text = BUF_INIT(MANIFEST_MAX);
	if (file_read_whole(fd, "manifest.toml", &text, err) < 0)
		return -1;
	opened->manifest_bytes = arena_str(arena, buf_str(&text));
	return 0;
}

static int hash_files(struct arena *arena, struct connector_opened *opened, struct err *err)
{
	if (content_hash(opened->module_fd, "connector.wasm", opened->manifest_bytes, opened->hash, err) < 0)
		return -1;
	char digits[2 * CODE_FILE_HASH + 1];
	hex_format(str_of(opened->hash, sizeof opened->hash), digits);
	opened->content_hash = arena_printf(arena, "sha256:%s", digits);
	return 0;
}

/* What was held is read as if it were new; only when it says the same, its manifest need not be taken apart again. */
static int use_held(struct control *control, struct arena *arena, struct connector_opened *opened, struct err *err)
{
	opened->held = held_connector_use(control->held, opened->row.path, err);
	if (opened->held == NULL)
		return -1;
	opened->path = arena_str(arena, opened->held->path);
	opened->module_fd = opened->held->module_fd;
	if (read_bytes(arena, opened->held->manifest_fd, opened, err) < 0)
		return -1;
	opened->manifest = opened->held->manifest;
	if (opened->manifest == NULL || !str_eq(opened->manifest_bytes, opened->held->manifest_bytes)) {
		held_connector_outdated(opened->held);
		if (read_manifest(opened, err) < 0)
			return -1;
	}
	return hash_files(arena, opened, err);
}

static int open_files(struct control *control, struct arena *arena, struct str path, struct connector_opened *opened,
		      struct err *err)
{
	AUTO_FD manifest_fd = -1;
	if (parent_open_folder(control->parent, path, arena, &opened->path, &manifest_fd, &opened->module_fd, err) < 0)
		return -1;
	if (read_bytes(arena, manifest_fd, opened, err) < 0 || read_manifest(opened, err) < 0)
		return -1;
	return hash_files(arena, opened, err);
}

int connector_open_folder(struct control *control, struct arena *arena, struct str path, struct connector_opened *ret,
			  struct err *err)
{
	AUTO_CONNECTOR opened = CONNECTOR_OPENED_INIT;
	if (open_files(control, arena, path, &opened, err) < 0)
		return -1;
	*ret = opened;
	opened = CONNECTOR_OPENED_INIT;
	return 0;
}

static int write_change(struct db_tx *tx, void *user, struct err *err)
{
	const struct connector_opened *opened = user;
	struct db_stmt *q = db_stmt(tx, "UPDATE connectors SET content_hash = ?, version = ?, manifest = ? "
					"WHERE fqn = ? AND content_hash = ?");
	db_bind_str(q, opened->content_hash);
	db_bind_str(q, opened->manifest->version);
	db_bind_str(q, opened->manifest_bytes);
	db_bind_str(q, opened->row.fqn);
	db_bind_str(q, opened->row.content_hash);
	int64_t rows = db_run(q, err);
	if (rows <= 0) /* another use told it first */
		return rows < 0 ? -1 : 0;
	AUTO_EVENT event;
	event_begin(&event, audit_of_service(AUDIT_CONNECTOR_CHANGED, "control"));
	member_str(&event.json, "aileron.connector.fqn", opened->row.fqn);
	member_str(&event.json, "aileron.connector.hash", opened->content_hash);
	member_bool(&event.json, "aileron.connector.linked", true);
	member_str(&event.json, "aileron.connector.previous_hash", opened->row.content_hash);
	return event_end(&event, err) < 0 ? -1 : event_append(tx, &event, err);
}

/* The scopes of the bindings are those of the manifest that was; now they are held against the new one. */
static int tell_change(struct control *control, struct arena *arena, struct connector_opened *opened, struct err *err)
{
	log_warn("connector_changed", log_str("connector", opened->row.fqn), log_str("from", opened->row.content_hash),
		 log_str("to", opened->content_hash));
	known_connectors_change_begin(control->known);
	int rc = db_write(control->db, write_change, opened, err);
	known_connectors_change_end(control->known);
	if (rc < 0)
		return -1;
	if (opened->manifest->credential.kind == CREDENTIAL_OAUTH2)
		bindings_check_drift(control, arena, opened->row.fqn, opened->manifest);
	actions_touch(control->actions);
	return 0;
}

/* Bindings and what was consented to are under the record's name: a folder that calls itself otherwise has none of them. */
static int check_name(const struct connector_opened *opened, struct err *err)
{
	const struct connector_row *row = &opened->row;
	struct str name = opened->manifest->name;
	if (str_eq(name, row->fqn) || str_starts(row->fqn, S(CONNECTOR_LOCAL_PREFIX)))
		return 0;
	return fail(err, ERR_CONFLICT,
		    "the folder '%.*s' was linked as '%.*s' and its manifest now says '%.*s'; 'aileron connector link' "
		    "links it under that name, 'aileron connector unlink' forgets the old one",
		    STR_FMT(row->path), STR_FMT(row->fqn), STR_FMT(name));
}

/* The row of a connector that is used again and again is not read each time. */
static int find_known(struct control *control, struct arena *arena, struct str fqn, struct connector_row *ret,
		      struct err *err)
{
	if (known_connectors_find(control->known, arena, fqn, ret))
		return 0;
	uint64_t version = known_connectors_version(control->known);
	if (connectors_find(control, arena, fqn, ret, err) < 0)
		return -1;
	known_connectors_keep(control->known, version, fqn, ret);
	return 0;
}

int connector_open(struct control *control, struct arena *arena, struct str fqn, struct connector_opened *ret,
		   struct err *err)
{
	AUTO_CONNECTOR opened = CONNECTOR_OPENED_INIT;
	if (find_known(control, arena, fqn, &opened.row, err) < 0)
		return -1;
	if (use_held(control, arena, &opened, err) < 0)
		return wrap(err, "opening the linked connector '%.*s'", STR_FMT(opened.row.fqn));
	if (check_name(&opened, err) < 0)
		return -1;
	opened.changed = !str_eq(opened.content_hash, opened.row.content_hash);
	if (opened.changed && tell_change(control, arena, &opened, err) < 0)
		return -1;
	*ret = opened;
	opened = CONNECTOR_OPENED_INIT;
	return 0;
}

int connector_pin(struct connector_opened *opened, struct err *err)
{
	if (opened->pinned)
		return 0;
	int fd = held_connector_copy(opened->held, opened->manifest_bytes, opened->hash, err);
	if (fd < 0)
		return wrap(err, "keeping the module of '%.*s'", STR_FMT(opened->row.fqn));
	opened->module_fd = fd;
	opened->pinned = true;
	return 0;
}

void connector_close(struct connector_opened *opened)
{
	connector_manifest_free(opened->own_manifest);
	if ((opened->held == NULL || opened->pinned) && opened->module_fd >= 0)
		close(opened->module_fd);
	held_connector_release(opened->held);
	*opened = CONNECTOR_OPENED_INIT;
}
