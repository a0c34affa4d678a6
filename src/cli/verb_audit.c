#include "audit/audit.h"
#include "base/hex.h"
#include "base/limits.h"
#include "cli/event_stream.h"
#include "cli/list.h"
#include "cli/verb_functions.h"
#include "daemon/state_dir.h"
#include "os/file.h"
#include "text/json_members.h"
#include <fcntl.h>

#define KEY_SIZE       32
#define KEY_TEXT_MAX   ((size_t)256)
#define LINE_MAX_BYTES (2 * AUDIT_TEXT_MAX)

/* ------------------------------------------------------------------------------------------------------------- showing */

static enum print_style style_of(struct str type)
{
	if (str_ends(type, S("failed")) || str_ends(type, S("rejected")) || str_ends(type, S("denied")))
		return PRINT_BAD;
	return str_ends(type, S("stale")) || str_ends(type, S("changed")) ? PRINT_WARN : PRINT_PLAIN;
}

/* What a line of a list says of an event: the first of these that it has, or two for a failure. */
static struct str summary_of(struct cli *cli, const struct json *payload)
{
	static const struct {
		const char *name, *key;
	} parts[] = {{"class", "aileron.failure.class"},  {"connector", "aileron.connector.fqn"},
		     {"binding", "aileron.binding.name"}, {"path", "aileron.vault.path"},
		     {"session", "aileron.session.id"},   {"name", "aileron.action.fqn"},
		     {"process", "aileron.process.role"}, {"end", "aileron.process.end"},
		     {"reason", "aileron.reason"}};
	AUTO_BUF text = BUF_INIT(64 * KIB);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		struct str value = cli_str(payload, parts[i].key);
		if (value.n > 0)
			buf_addf(&text, "%s%s=%.*s", text.n > 0 ? " " : "", parts[i].name, STR_FMT(value));
	}
	return arena_str(cli->arena, buf_str(&text));
}

static void add_row(struct cli *cli, struct table *table, const struct json *row)
{
	const struct json *event = json_member(row, S("event"));
	struct str type = cli_str(event, "event_type");
	table_cell(table, cli_time(cli, cli_str(event, "timestamp")));
	table_cell(table, cli_str(event, "audit_id"));
	table_cell_styled(table, style_of(type), type);
	table_cell(table, cli_str(json_member(event, S("actor")), "id"));
	table_cell(table, summary_of(cli, json_member(event, S("payload"))));
}

int verb_audit_list(struct cli *cli, struct err *err)
{
	static const struct table_column columns[] = {
		{"TIME", 0}, {"ID", TABLE_BELOW}, {"EVENT", 0}, {"ACTOR", 6}, {"WHAT", 20}};
	static const struct cli_parameter filters[] = {
		{"since", "since"}, {"until", "until"},     {"type", "type"},         {"connector", "connector_fqn"},
		{"class", "class"}, {"binding", "binding"}, {"audit-id", "audit_id"}, {"limit", "limit"}};
	struct cli_list list = {OP_AUDIT_LIST, STR_EMPTY, "events", columns, ARRAY_LEN(columns), add_row};
	return cli_query(cli, filters, ARRAY_LEN(filters), &list.query, err) < 0 ? -1 : cli_list(cli, &list, err);
}

static void put_payload(struct printer *out, const struct json *payload)
{
	struct json_iter it;
	for (json_iter_init(&it, payload); json_iter_next(&it);) {
		AUTO_BUF text = BUF_INIT(LINE_MAX_BYTES);
		struct json_writer w;
		struct str value;
		jsonw_init(&w, &text, JSON_WRITER_PLAIN);
		if (!json_get_str(it.value, &value)) {
			jsonw_value(&w, it.value);
			value = buf_str(&text);
		}
		print_text(out, "  ");
		print_from(out, it.name);
		print_text(out, " = ");
		print_from(out, value);
		print_text(out, "\n");
	}
}

int verb_audit_show(struct cli *cli, struct err *err)
{
	AUTO(json) *row = NULL;
	const struct client_request request = {
		.operation = OP_AUDIT_GET,
		.parameters = {str_from(cli_argument(cli, 0))},
	};
	if (cli_call(cli, &request, &row, err) < 0)
		return -1;
	if (cli->json) {
		print_json(&cli->out, row);
		return CLI_OK;
	}
	struct printer *out = &cli->out;
	const struct json *event = json_member(row, S("event")), *actor = json_member(event, S("actor"));
	print_pair(out, "Event", cli_str(event, "event_type"));
	print_pair(out, "Id", cli_str(event, "audit_id"));
	print_pair(out, "Time", cli_str(event, "timestamp"));
	print_text(out, "%-14s", "Actor");
	print_from(out, cli_str(actor, "type"));
	print_text(out, " ");
	print_from(out, cli_str(actor, "id"));
	print_text(out, "\n%-14s%lld\n", "Number", (long long)cli_int(row, "seq"));
	print_pair(out, "Hash", cli_str(row, "hash"));
	print_pair(out, "Previous", cli_str(row, "prev"));
	if (cli_str(row, "trace_id").n > 0)
		print_pair(out, "Trace", cli_str(row, "trace_id"));
	put_payload(out, json_member(event, S("payload")));
	return CLI_OK;
}

/* ---------------------------------------------------------------------------------------------------------------- tail */

struct tailing {
	struct cli *cli;
	struct event_stream events;
	struct err *err;
	bool failed;
};

static void tell_event(struct cli *cli, const struct json *row)
{
	const struct json *event = json_member(row, S("event"));
	struct str type = cli_str(event, "event_type");
	print_from(&cli->out, cli_time(cli, cli_str(event, "timestamp")));
	print_text(&cli->out, "  ");
	print_styled(&cli->out, style_of(type), "%.*s", STR_FMT(cli_visible(cli, type)));
	print_text(&cli->out, "  ");
	print_from(&cli->out, summary_of(cli, json_member(event, S("payload"))));
	print_text(&cli->out, "\n");
}

/* Each has one stored text. */
static int take_event(void *user, struct str name, struct str data, struct err *err)
{
	(void)name;
	struct cli *cli = ((struct tailing *)user)->cli;
	AUTO(json) *row = json_parse(data, JSON_READ_STRICT, err);
	if (row == NULL)
		return wrap(err, "reading the daemon's stream");
	if (cli->json)
		print_json(&cli->out, row);
	else
		tell_event(cli, row);
	return print_flush(&cli->out, err);
}

static int take_piece(void *user, struct str bytes)
{
	struct tailing *tailing = user;
	tailing->failed = event_stream_take(&tailing->events, bytes, tailing->err) < 0;
	return tailing->failed ? -1 : 0;
}

int verb_audit_tail(struct cli *cli, struct err *err)
{
	static const struct cli_parameter after = {"after", "after_seq"};
	struct client *client = cli_client(cli, err);
	struct client_request request = {.operation = OP_AUDIT_TAIL};
	struct tailing tailing = {.cli = cli, .err = err};
	if (client == NULL || cli_query(cli, &after, 1, &request.query, err) < 0)
		return -1;
	event_stream_init(&tailing.events, take_event, &tailing);
	int rc = client_stream(client, &request, take_piece, &tailing, err);
	event_stream_release(&tailing.events);
	return rc < 0 || tailing.failed ? -1 : CLI_OK;
}

/* -------------------------------------------------------------------------------------------------------------- export */

struct exporting {
	int fd;
	const char *name;
	struct err *err;
	bool failed;
};

static int write_piece(void *user, struct str bytes)
{
	struct exporting *exporting = user;
	exporting->failed = file_write_fd(exporting->fd, exporting->name, bytes, exporting->err) < 0;
	return exporting->failed ? -1 : 0;
}

/* What went to standard output is the answer itself. */
static void tell_exported(struct cli *cli, const char *path)
{
	if (!cli->json) {
		print_text(&cli->out, "Wrote the export\n");
		return;
	}
	struct json_writer w;
	jsonw_init(&w, &cli->out.out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_bool(&w, "written", true);
	member_z(&w, "path", path);
	jsonw_end_object(&w);
	print_text(&cli->out, "\n");
}

int verb_audit_export(struct cli *cli, struct err *err)
{
	const char *path = verb_text(cli->line, "output");
	struct client *client = cli_client(cli, err);
	if (client == NULL)
		return -1;
	AUTO_FD file = path == NULL ? -1 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (path != NULL && file < 0)
		return fail_errno(err, "cannot make '%s'", path);
	struct exporting exporting = {
		.fd = path == NULL ? STDOUT_FILENO : file,
		.name = path == NULL ? "standard output" : path,
		.err = err,
	};
	const struct client_request request = {.operation = OP_AUDIT_EXPORT};
	int rc = client_stream(client, &request, write_piece, &exporting, err) < 0 || exporting.failed ? -1 : 0;
	if (rc == 0 && path != NULL && fsync(file) < 0)
		rc = fail_errno(err, "cannot write '%s'", path);
	/* A part of the chain has no signed head; it was made by us alone. */
	if (rc < 0 && path != NULL)
		(void)unlink(path);
	if (rc == 0 && path != NULL)
		tell_exported(cli, path);
	return rc < 0 ? -1 : CLI_OK;
}

/* -------------------------------------------------------------------------------------------------------------- verify */

/* 32 bytes, or their 64 digits as device.pub holds them. */
static int read_key(const char *path, struct buf *key, struct err *err)
{
	AUTO_BUF text = BUF_INIT(KEY_TEXT_MAX);
	if (file_read(path, &text, err) < 0)
		return wrap(err, "reading the public key");
	if (text.n == KEY_SIZE)
		buf_add_str(key, buf_str(&text));
	else if (hex_decode(key, str_trim(buf_str(&text)), err) < 0)
		return wrap(err, "reading '%s'", path);
	return key->n == KEY_SIZE ? 0
				  : fail(err, ERR_PARSE_ERROR, "'%s' holds no public key of %d bytes", path, KEY_SIZE);
}

static void put_verdict_json(struct buf *out, const struct audit_verdict *verdict)
{
	const struct {
		const char *name;
		uint64_t value;
	} numbers[] = {{"events", verdict->events},
		       {"checkpoints", verdict->checkpoints},
		       {"first_seq", verdict->first_seq},
		       {"last_seq", verdict->last_seq}};
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_bool(&w, "intact", verdict->intact);
	member_bool(&w, "origin_proven", verdict->origin_proven);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		member_u64(&w, numbers[i].name, numbers[i].value);
	if (!verdict->intact) {
		member_u64(&w, "broken_line", verdict->broken_line);
		member_str(&w, "why", str_from(verdict->why));
	}
	member_str_given(&w, "note", str_from(verdict->note));
	jsonw_end_object(&w);
}

static void put_verdict(struct cli *cli, const struct json *verdict)
{
	struct printer *out = &cli->out;
	bool intact = cli_bool(verdict, "intact");
	print_styled(out, intact ? PRINT_GOOD : PRINT_BAD, "%s", intact ? "intact" : "broken");
	print_text(out, ": %lld events, %lld to %lld, %lld checkpoints", (long long)cli_int(verdict, "events"),
		   (long long)cli_int(verdict, "first_seq"), (long long)cli_int(verdict, "last_seq"),
		   (long long)cli_int(verdict, "checkpoints"));
	if (cli_str(verdict, "note").n > 0) {
		print_text(out, "; ");
		print_from(out, cli_str(verdict, "note"));
	}
	print_text(out, "\n");
	if (intact)
		return;
	if (json_member(verdict, S("broken_line")) != NULL)
		print_text(out, "line %lld: ", (long long)cli_int(verdict, "broken_line"));
	if (json_member(verdict, S("broken_seq")) != NULL)
		print_text(out, "event %lld: ", (long long)cli_int(verdict, "broken_seq"));
	print_from(out, cli_str(verdict, "why"));
	print_text(out, "\n");
}

static struct json *verify_file(const char *path, const char *key_path, struct err *err)
{
	struct audit_verdict verdict = {0};
	AUTO_BUF key = BUF_INIT(KEY_SIZE);
	AUTO_BUF text = BUF_INIT(8 * KIB);
	AUTO_FD file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0) {
		fail_errno(err, "cannot open '%s'", path);
		return NULL;
	}
	if ((key_path != NULL && read_key(key_path, &key, err) < 0) ||
	    audit_verify_file(file, path, buf_str(&key), &verdict, err) < 0)
		return NULL;
	put_verdict_json(&text, &verdict);
	return json_parse(buf_str(&text), JSON_READ_STRICT, err);
}

int verb_audit_verify(struct cli *cli, struct err *err)
{
	AUTO(json) *verdict = NULL;
	const char *path = cli_argument(cli, 0), *key = verb_text(cli->line, "key");
	if (path == NULL && key != NULL)
		return fail(err, ERR_USAGE, "--key is for a file; the daemon verifies with its own key");
	const struct client_request request = {.operation = OP_AUDIT_VERIFY, .timeout_ms = 600000};
	if (path != NULL)
		verdict = verify_file(path, key, err);
	else if (cli_call(cli, &request, &verdict, err) < 0)
		return -1;
	if (verdict == NULL)
		return -1;
	if (cli->json)
		print_json(&cli->out, verdict);
	else
		put_verdict(cli, verdict);
	bool proven = key == NULL || cli_bool(verdict, "origin_proven");
	return cli_bool(verdict, "intact") && proven ? CLI_OK : CLI_FAILED;
}
