#include "base/limits.h"
#include "base/time.h"
#include "connector/grant.h"
#include "control/actions.h"
#include "control/bindings.h"
#include "control/connectors.h"
#include "control/control.h"
#include "control/event.h"
#include "control/known_connectors.h"
#include "text/fqn.h"

/* ------------------------------------------------------------------------------------------------------------- showing */

/* What lists and the page of one connector have in common. */
static void put_row(struct json_writer *w, const struct connector_row *row, const struct connector_manifest *manifest,
		    struct str content_hash)
{
	member_str_given(w, "fqn", row->fqn);
	member_str(w, "version", manifest != NULL ? manifest->version : row->version);
	if (manifest != NULL)
		member_str_given(w, "publisher", manifest->publisher);
	member_bool(w, "linked", true);
	member_bool(w, "signed", false);
	member_str_given(w, "path", row->path);
	member_str_given(w, "content_hash", content_hash);
	if (manifest != NULL && manifest->credential.present)
		member_str_given(w, "credential_kind", str_from(credential_kind_name(manifest->credential.kind)));
	member_time_given(w, "linked_at", row->linked_ns);
	member_time_given(w, "last_used_at", row->last_used_ns);
}

static void put_oauth2(struct json_writer *w, const struct manifest_oauth2 *oauth2)
{
	member_begin_object(w, "oauth2");
	member_str_given(w, "authorize_url", oauth2->authorize_url);
	member_str_given(w, "token_url", oauth2->token_url);
	member_str_given(w, "device_authorization_url", oauth2->device_authorization_url);
	member_str_given(w, "client_id", oauth2->client_id);
	member_str_given(w, "client_secret", oauth2->client_secret);
	member_list(w, "scopes", oauth2->scopes.items, oauth2->scopes.n);
	jsonw_end_object(w);
}

static void put_credential(struct json_writer *w, const struct manifest_credential *credential)
{
	member_begin_object(w, "credential");
	member_str_given(w, "kind", str_from(credential_kind_name(credential->kind)));
	member_str_given(w, "scope", credential->scope);
	member_str_given(w, "header", credential->header);
	member_str_given(w, "format", credential->format);
	member_str_given(w, "service", credential->service);
	member_str_given(w, "region", credential->region);
	member_str_given(w, "access_key_id", credential->access_key_id);
	member_str_given(w, "username", credential->username);
	if (credential->kind == CREDENTIAL_SIGNING_KEY) {
		member_str_given(w, "algorithm", credential->algorithm);
		member_str_given(w, "key_id", credential->key_id);
		member_str_given(w, "label", credential->label);
		member_list(w, "components", credential->components.items, credential->components.n);
	}
	if (credential->kind == CREDENTIAL_OAUTH2)
		put_oauth2(w, &credential->oauth2);
	jsonw_end_object(w);
}

static void put_limits(struct json_writer *w, const struct manifest_limits *limits)
{
	if (limits->memory_bytes == 0 && limits->wall_time_ms == 0)
		return;
	member_begin_object(w, "limits");
	if (limits->memory_bytes > 0)
		member_u64(w, "memory_bytes", limits->memory_bytes);
	if (limits->wall_time_ms > 0)
		member_u64(w, "wall_time_ms", limits->wall_time_ms);
	jsonw_end_object(w);
}

static void put_spawn(struct json_writer *w, const struct manifest_spawn *spawn)
{
	member_begin_object(w, "spawn");
	member_begin_array(w, "programs");
	for (size_t i = 0; i < spawn->n_programs; i++) {
		jsonw_begin_object(w);
		member_str_given(w, "path", spawn->programs[i].path);
		member_str_given(w, "hash", spawn->programs[i].hash);
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
	member_begin_array(w, "operations");
	for (size_t i = 0; i < spawn->n_operations; i++) {
		jsonw_begin_object(w);
		member_str_given(w, "name", spawn->operations[i].name);
		member_str_given(w, "argv", spawn->operations[i].argv);
		member_str_given(w, "description", spawn->operations[i].description);
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
	member_list(w, "env_passthrough", spawn->env_passthrough.items, spawn->env_passthrough.n);
	member_list(w, "credential_env_keys", spawn->credential_env_keys.items, spawn->credential_env_keys.n);
	member_list(w, "fs_read", spawn->fs_read.items, spawn->fs_read.n);
	member_list(w, "fs_write", spawn->fs_write.items, spawn->fs_write.n);
	member_str_given(w, "cwd", spawn->cwd);
	member_u64(w, "max_stdout_bytes", (uint64_t)spawn->max_stdout_bytes);
	member_u64(w, "max_stderr_bytes", (uint64_t)spawn->max_stderr_bytes);
	jsonw_end_object(w);
}

static void put_opened(struct json_writer *w, const struct connector_opened *opened)
{
	const struct connector_manifest *manifest = opened->manifest;
	jsonw_begin_object(w);
	put_row(w, &opened->row, manifest, opened->content_hash);
	member_bool(w, "changed", opened->changed);
	member_bool(w, "any_public_host", grant_is_permissive(manifest));
	member_list(w, "hosts", manifest->hosts.items, manifest->hosts.n);
	if (manifest->credential.present)
		put_credential(w, &manifest->credential);
	if (manifest->has_imports)
		member_list(w, "imports", manifest->imports.items, manifest->imports.n);
	put_limits(w, &manifest->limits);
	if (manifest->spawn.present)
		put_spawn(w, &manifest->spawn);
	if (manifest->intents.n > 0)
		member_list(w, "intents", manifest->intents.items, manifest->intents.n);
	member_str_given(w, "idempotency", manifest->idempotency);
	member_str_given(w, "forwarder", manifest->forwarder);
	jsonw_end_object(w);
}

int handle_connector_list(struct request *r, struct err *err)
{
	struct connector_rows rows = {0};
	struct db_tx *tx = db_read(r->control->db);
	int rc = connectors_list(tx, r->arena, &rows, err);
	db_done(tx);
	if (rc < 0)
		return -1;
	struct json_writer *w = &r->json;
	jsonw_begin_object(w);
	member_begin_array(w, "items");
	for (size_t i = 0; i < rows.n; i++) {
		AUTO(connector_manifest) *manifest = connector_manifest_parse(rows.items[i].manifest, "", NULL);
		jsonw_begin_object(w);
		put_row(w, &rows.items[i], manifest, rows.items[i].content_hash);
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
	jsonw_end_object(w);
	return 0;
}

int handle_connector_show(struct request *r, struct err *err)
{
	AUTO_CONNECTOR opened = CONNECTOR_OPENED_INIT;
	if (connector_open(r->control, r->arena, r->parameters[0], &opened, err) < 0 ||
	    connectors_find(r->control, r->arena, opened.row.fqn, &opened.row, err) < 0)
		return -1;
	put_opened(&r->json, &opened);
	return 0;
}

/* ------------------------------------------------------------------------------------------------------------- linking */

struct link_job {
	const struct connector_opened *opened;
	const struct connector_row *row;
	struct event event;
};

/* The change and its event are one job. */
static int tell_link(const struct request *r, enum audit_type type, struct str content_hash, db_job *write,
		     struct link_job *job, struct err *err)
{
	event_begin(&job->event, request_event(r, type));
	struct json_writer *w = &job->event.json;
	member_str_given(w, "aileron.connector.fqn", job->row->fqn);
	member_str_given(w, "aileron.connector.hash", content_hash);
	member_bool(w, "aileron.connector.linked", true);
	member_bool(w, "aileron.connector.signed", false);
	int rc = event_end(&job->event, err);
	known_connectors_change_begin(r->control->known);
	if (rc == 0)
		rc = db_write(r->control->db, write, job, err);
	known_connectors_change_end(r->control->known);
	event_release(&job->event);
	if (rc == 0)
		actions_touch(r->control->actions);
	return rc;
}

static int do_link(struct db_tx *tx, void *user, struct err *err)
{
	const struct link_job *job = user;
	struct db_stmt *q = db_stmt(tx, "INSERT INTO connectors (fqn, path, name, content_hash, version, origin, "
					"linked_ns, manifest) VALUES (?, ?, ?, ?, ?, 'linked', ?, ?) "
					"ON CONFLICT (fqn) DO UPDATE SET path = excluded.path, name = excluded.name, "
					"content_hash = excluded.content_hash, version = excluded.version, "
					"linked_ns = excluded.linked_ns, manifest = excluded.manifest");
	db_bind_str(q, job->row->fqn);
	db_bind_str(q, job->row->path);
	db_bind_str(q, job->row->name);
	db_bind_str(q, job->opened->content_hash);
	db_bind_str(q, job->opened->manifest->version);
	db_bind_int(q, (int64_t)job->row->linked_ns);
	db_bind_str(q, job->opened->manifest_bytes);
	if (db_run(q, err) < 0)
		return -1;
	return event_append(tx, &job->event, err);
}

/* Its own name, or local://user/NAME, of which NAME is enough. */
static int choose_fqn(struct request *r, const struct connector_opened *opened, struct connector_row *row,
		      struct err *err)
{
	struct str name = request_str(r, "name");
	struct fqn fqn;
	if (name.n == 0)
		row->fqn = opened->manifest->name;
	else if (str_starts(name, S(CONNECTOR_LOCAL_PREFIX)))
		row->fqn = name;
	else
		row->fqn = arena_printf(r->arena, CONNECTOR_LOCAL_PREFIX "%.*s", STR_FMT(name));
	if (fqn_parse(row->fqn, &fqn, err) < 0)
		return wrap(err, "'%.*s' cannot be linked under that name; give one with --name",
			    STR_FMT(opened->path));
	row->name = fqn.subpath.n > 0 ? fqn.subpath : fqn.repo;
	return 0;
}

int handle_connector_link(struct request *r, struct err *err)
{
	AUTO_CONNECTOR opened = CONNECTOR_OPENED_INIT;
	struct str path = request_str(r, "path");
	if (path.n == 0 || path.p[0] != '/')
		return fail(err, ERR_INVALID_REQUEST, "'path' must be an absolute path");
	if (connector_open_folder(r->control, r->arena, path, &opened, err) < 0)
		return -1;
	struct connector_row *row = &opened.row;
	*row = (struct connector_row){.path = opened.path, .linked_ns = clock_wall_ns(NULL)};
	if (choose_fqn(r, &opened, row, err) < 0)
		return -1;
	struct link_job job = {.opened = &opened, .row = row};
	if (tell_link(r, AUDIT_CONNECTOR_LINKED, opened.content_hash, do_link, &job, err) < 0)
		return -1;
	if (opened.manifest->credential.kind == CREDENTIAL_OAUTH2)
		bindings_check_drift(r->control, r->arena, row->fqn, opened.manifest);
	put_opened(&r->json, &opened);
	return 0;
}

static int do_unlink(struct db_tx *tx, void *user, struct err *err)
{
	const struct link_job *job = user;
	struct db_stmt *q = db_stmt(tx, "DELETE FROM connectors WHERE fqn = ?");
	db_bind_str(q, job->row->fqn);
	if (db_run(q, err) < 0)
		return -1;
	return event_append(tx, &job->event, err);
}

int handle_connector_unlink(struct request *r, struct err *err)
{
	struct connector_row row;
	struct binding_list bindings = {0};
	if (connectors_find(r->control, r->arena, r->parameters[0], &row, err) < 0)
		return -1;
	struct link_job job = {.row = &row};
	if (tell_link(r, AUDIT_CONNECTOR_UNLINKED, row.content_hash, do_unlink, &job, err) < 0)
		return -1;
	/* Without a keeper it is unlinked all the same; its bindings are then not known. */
	(void)!bindings_list(r->control, r->arena, row.fqn, STR_EMPTY, &bindings, NULL);
	struct json_writer *w = &r->json;
	jsonw_begin_object(w);
	member_str_given(w, "fqn", row.fqn);
	member_begin_array(w, "bindings");
	for (size_t i = 0; i < bindings.n; i++)
		jsonw_str(w, bindings.items[i].name);
	jsonw_end_array(w);
	jsonw_end_object(w);
	return 0;
}
