#include "base/limits.h"
#include "base/time.h"
#include "connector/grant.h"
#include "control/bindings.h"
#include "control/connectors.h"
#include "control/control.h"
#include "text/fqn.h"

/* ------------------------------------------------------------------------------------------------------------- showing */

static void put_text(struct json_writer *w, const char *key, struct str value)
{
	if (value.n == 0)
		return;
	jsonw_key(w, str_from(key));
	jsonw_str(w, value);
}

static void put_list(struct json_writer *w, const char *key, struct str_list list)
{
	jsonw_key(w, str_from(key));
	jsonw_begin_array(w);
	for (size_t i = 0; i < list.n; i++)
		jsonw_str(w, list.items[i]);
	jsonw_end_array(w);
}

static void put_bool(struct json_writer *w, const char *key, bool value)
{
	jsonw_key(w, str_from(key));
	jsonw_bool(w, value);
}

static void put_int(struct json_writer *w, const char *key, uint64_t value)
{
	jsonw_key(w, str_from(key));
	jsonw_int(w, (int64_t)value);
}

static void put_time(struct json_writer *w, const char *key, uint64_t ns)
{
	char text[TIME_RFC3339_SIZE];
	if (ns > 0)
		put_text(w, key, str_from(time_format_rfc3339(ns, 0, text)));
}

/* What lists and the page of one connector have in common. */
static void put_row(struct json_writer *w, const struct connector_row *row, const struct connector_manifest *manifest,
		    struct str content_hash)
{
	put_text(w, "fqn", row->fqn);
	jsonw_key(w, S("version"));
	jsonw_str(w, manifest != NULL ? manifest->version : row->version);
	if (manifest != NULL)
		put_text(w, "publisher", manifest->publisher);
	put_bool(w, "linked", true);
	put_bool(w, "signed", false);
	put_text(w, "path", row->path);
	put_text(w, "content_hash", content_hash);
	if (manifest != NULL && manifest->credential.present)
		put_text(w, "credential_kind", str_from(credential_kind_name(manifest->credential.kind)));
	put_time(w, "linked_at", row->linked_ns);
	put_time(w, "last_used_at", row->last_used_ns);
}

static void put_oauth2(struct json_writer *w, const struct manifest_oauth2 *oauth2)
{
	jsonw_key(w, S("oauth2"));
	jsonw_begin_object(w);
	put_text(w, "authorize_url", oauth2->authorize_url);
	put_text(w, "token_url", oauth2->token_url);
	put_text(w, "device_authorization_url", oauth2->device_authorization_url);
	put_text(w, "client_id", oauth2->client_id);
	put_text(w, "client_secret", oauth2->client_secret);
	put_list(w, "scopes", oauth2->scopes);
	jsonw_end_object(w);
}

static void put_credential(struct json_writer *w, const struct manifest_credential *credential)
{
	jsonw_key(w, S("credential"));
	jsonw_begin_object(w);
	put_text(w, "kind", str_from(credential_kind_name(credential->kind)));
	put_text(w, "scope", credential->scope);
	put_text(w, "header", credential->header);
	put_text(w, "format", credential->format);
	put_text(w, "service", credential->service);
	put_text(w, "region", credential->region);
	put_text(w, "access_key_id", credential->access_key_id);
	put_text(w, "username", credential->username);
	if (credential->kind == CREDENTIAL_SIGNING_KEY) {
		put_text(w, "algorithm", credential->algorithm);
		put_text(w, "key_id", credential->key_id);
		put_text(w, "label", credential->label);
		put_list(w, "components", credential->components);
	}
	if (credential->kind == CREDENTIAL_OAUTH2)
		put_oauth2(w, &credential->oauth2);
	jsonw_end_object(w);
}

static void put_limits(struct json_writer *w, const struct manifest_limits *limits)
{
	if (limits->memory_bytes == 0 && limits->wall_time_ms == 0)
		return;
	jsonw_key(w, S("limits"));
	jsonw_begin_object(w);
	if (limits->memory_bytes > 0)
		put_int(w, "memory_bytes", limits->memory_bytes);
	if (limits->wall_time_ms > 0)
		put_int(w, "wall_time_ms", limits->wall_time_ms);
	jsonw_end_object(w);
}

static void put_spawn(struct json_writer *w, const struct manifest_spawn *spawn)
{
	jsonw_key(w, S("spawn"));
	jsonw_begin_object(w);
	jsonw_key(w, S("programs"));
	jsonw_begin_array(w);
	for (size_t i = 0; i < spawn->n_programs; i++) {
		jsonw_begin_object(w);
		put_text(w, "path", spawn->programs[i].path);
		put_text(w, "hash", spawn->programs[i].hash);
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
	jsonw_key(w, S("operations"));
	jsonw_begin_array(w);
	for (size_t i = 0; i < spawn->n_operations; i++) {
		jsonw_begin_object(w);
		put_text(w, "name", spawn->operations[i].name);
		put_text(w, "argv", spawn->operations[i].argv);
		put_text(w, "description", spawn->operations[i].description);
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
	put_list(w, "env_passthrough", spawn->env_passthrough);
	put_list(w, "credential_env_keys", spawn->credential_env_keys);
	put_list(w, "fs_read", spawn->fs_read);
	put_list(w, "fs_write", spawn->fs_write);
	put_text(w, "cwd", spawn->cwd);
	put_int(w, "max_stdout_bytes", (uint64_t)spawn->max_stdout_bytes);
	put_int(w, "max_stderr_bytes", (uint64_t)spawn->max_stderr_bytes);
	jsonw_end_object(w);
}

static void put_opened(struct json_writer *w, const struct connector_opened *opened)
{
	const struct connector_manifest *manifest = opened->manifest;
	jsonw_begin_object(w);
	put_row(w, &opened->row, manifest, opened->content_hash);
	put_bool(w, "changed", opened->changed);
	put_bool(w, "any_public_host", grant_is_permissive(manifest));
	put_list(w, "hosts", manifest->hosts);
	if (manifest->credential.present)
		put_credential(w, &manifest->credential);
	if (manifest->has_imports)
		put_list(w, "imports", manifest->imports);
	put_limits(w, &manifest->limits);
	if (manifest->spawn.present)
		put_spawn(w, &manifest->spawn);
	if (manifest->intents.n > 0)
		put_list(w, "intents", manifest->intents);
	put_text(w, "idempotency", manifest->idempotency);
	put_text(w, "forwarder", manifest->forwarder);
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
	jsonw_key(w, S("items"));
	jsonw_begin_array(w);
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
	if (connector_open(r->control, r->arena, r->parameters[0], &opened, err) < 0)
		return -1;
	put_opened(&r->json, &opened);
	return 0;
}

/* ------------------------------------------------------------------------------------------------------------- linking */

static struct str link_payload(struct arena *arena, const struct connector_row *row, struct str content_hash)
{
	AUTO_BUF payload = BUF_INIT(32 * KIB);
	struct json_writer w;
	jsonw_init(&w, &payload, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	put_text(&w, "aileron.connector.fqn", row->fqn);
	put_text(&w, "aileron.connector.hash", content_hash);
	put_bool(&w, "aileron.connector.linked", true);
	put_bool(&w, "aileron.connector.signed", false);
	jsonw_end_object(&w);
	return arena_str(arena, buf_str(&payload));
}

struct link_job {
	const struct connector_opened *opened;
	const struct connector_row *row;
	struct audit_event event;
};

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
	return audit_append(tx, &job->event, NULL, NULL, err);
}

/* Its own name, or local://user/NAME. */
static int choose_fqn(struct request *r, const struct connector_opened *opened, struct connector_row *row,
		      struct err *err)
{
	struct str name = request_str(r, "name");
	struct fqn fqn;
	row->fqn = name.n > 0 ? arena_printf(r->arena, "local://user/%.*s", STR_FMT(name)) : opened->manifest->name;
	if (fqn_parse(row->fqn, &fqn, err) < 0)
		return wrap(err, "'%.*s' cannot be linked under that name; give one with --name",
			    STR_FMT(opened->path));
	row->name = name.n > 0 ? name : fqn.subpath.n > 0 ? fqn.subpath : fqn.repo;
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
	struct link_job job = {.opened = &opened, .row = row, .event = request_event(r, AUDIT_CONNECTOR_LINKED)};
	job.event.payload_text = link_payload(r->arena, row, opened.content_hash);
	if (db_write(r->control->db, do_link, &job, err) < 0)
		return -1;
	if (opened.manifest->credential.kind == CREDENTIAL_OAUTH2)
		bindings_check_drift(r->control, r->arena, row->fqn, opened.manifest, NULL);
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
	return audit_append(tx, &job->event, NULL, NULL, err);
}

int handle_connector_unlink(struct request *r, struct err *err)
{
	struct connector_row row;
	struct binding_list bindings = {0};
	if (connectors_find(r->control, r->arena, r->parameters[0], &row, err) < 0)
		return -1;
	struct link_job job = {.row = &row, .event = request_event(r, AUDIT_CONNECTOR_UNLINKED)};
	job.event.payload_text = link_payload(r->arena, &row, row.content_hash);
	if (db_write(r->control->db, do_unlink, &job, err) < 0)
		return -1;
	/* Without a keeper it is unlinked all the same; its bindings are then not known. */
	(void)!bindings_list(r->control, r->arena, row.fqn, STR_EMPTY, &bindings, NULL);
	struct json_writer *w = &r->json;
	jsonw_begin_object(w);
	put_text(w, "fqn", row.fqn);
	jsonw_key(w, S("bindings"));
	jsonw_begin_array(w);
	for (size_t i = 0; i < bindings.n; i++)
		jsonw_str(w, bindings.items[i].name);
	jsonw_end_array(w);
	jsonw_end_object(w);
	return 0;
}
