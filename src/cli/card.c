#include "cli/card.h"
#include "api/timestamp.h"
#include "base/escape.h"
#include "base/time.h"
#include "base/utf8.h"
#include "text/json_writer.h"

#define FOLD_BYTES    ((size_t)1200)
#define FOLD_LINES    12
#define WIDTH_DEFAULT 100
#define WIDTH_LEAST   20
#define LABEL_WIDTH   14 /* of print_pair() */

/* --------------------------------------------------------------------------------------------------------------- texts */

/* As much as is shown of a text that is folded. */
static struct str fold(struct str text, bool full)
{
	if (full)
		return text;
	struct str head = utf8_cut(text, FOLD_BYTES);
	size_t lines = 0;
	for (size_t i = 0; i < head.n; i++) {
		if (head.p[i] == '\n' && ++lines == FOLD_LINES)
			return str_slice(head, 0, i);
	}
	return head;
}

/* One line of a text, wrapped by us, so that no part of it stands at the left of the screen. */
static void put_barred(struct printer *out, unsigned indent, struct str line)
{
	AUTO_BUF visible = BUF_INIT(4 * line.n + ESCAPE_CHAR_MAX);
	unsigned width = out->width > 0 ? out->width : UINT32_MAX;
	unsigned room = width > indent + 2 + WIDTH_LEAST ? width - indent - 2 : WIDTH_LEAST;
	escape_visible(&visible, line);
	struct str rest = buf_str(&visible);
	do {
		size_t n = 0;
		unsigned used = 0;
		while (n < rest.n) {
			struct utf8_char c = utf8_next(str_slice(rest, n, rest.n));
			unsigned columns = print_width(str_slice(rest, n, n + c.n));
			if (used + columns > room)
				break;
			used += columns;
			n += c.n;
		}
		print_text(out, "%*s| %.*s\n", (int)indent, "", STR_FMT(str_slice(rest, 0, n)));
		rest = str_slice(rest, n, rest.n);
	} while (rest.n > 0);
}

static void put_block(struct printer *out, unsigned indent, struct str text, bool full)
{
	struct str head = fold(text, full);
	size_t left = text.n - head.n;
	while (head.n > 0) {
		size_t end = str_find_char(head, '\n');
		put_barred(out, indent, str_slice(head, 0, end == STR_NPOS ? head.n : end));
		head = str_slice(head, end == STR_NPOS ? head.n : end + 1, head.n);
	}
	if (left == 0)
		return;
	print_text(out, "%*s", (int)indent, "");
	print_styled(out, PRINT_WARN, "... and %zu more bytes: --full shows them", left);
	print_text(out, "\n");
}

/* A text whose kind could be mistaken, or whose ends cannot be seen, is shown with its quotes. */
static bool needs_quotes(struct str text)
{
	AUTO(json) *json = text.n > 0 && text.n < 64 ? json_parse(text, JSON_READ_STRICT, NULL) : NULL;
	return text.n == 0 || json != NULL || str_trim(text).n != text.n;
}

static void put_text(struct printer *out, unsigned indent, struct str name, struct str text, bool full)
{
	AUTO_BUF label = BUF_INIT(4 * name.n + ESCAPE_CHAR_MAX);
	AUTO_BUF visible = BUF_INIT(4 * text.n + ESCAPE_CHAR_MAX);
	unsigned width = out->width > 0 ? out->width : WIDTH_DEFAULT;
	escape_visible(&label, name);
	escape_visible(&visible, text);
	unsigned columns = indent + print_width(buf_str(&label)) + 2 + print_width(buf_str(&visible));
	print_text(out, "%*s", (int)indent, "");
	print_styled(out, PRINT_BOLD, "%.*s", STR_FMT(buf_str(&label)));
	if (columns <= width && str_find_char(text, '\n') == STR_NPOS) {
		print_text(out, ": %.*s\n", STR_FMT(buf_str(&visible)));
		return;
	}
	print_text(out, ":\n");
	put_block(out, indent + 2, text, full);
}

/* A row of the card; what would be wrapped by the terminal stands behind the bar, too. */
static void put_row(struct printer *out, const char *label, struct str value)
{
	AUTO_BUF visible = BUF_INIT(4 * value.n + ESCAPE_CHAR_MAX);
	unsigned width = out->width > 0 ? out->width : UINT32_MAX;
	escape_visible(&visible, value);
	if (LABEL_WIDTH + print_width(buf_str(&visible)) <= width) {
		print_pair(out, label, value);
		return;
	}
	print_text(out, "%s\n", label);
	put_block(out, 2, value, true);
}

static void put_value(struct printer *out, unsigned indent, struct str name, const struct json *value, bool full)
{
	struct str text = STR_EMPTY;
	AUTO_BUF json = BUF_INIT(PRINT_MAX);
	struct json_writer w;
	if (!json_get_str(value, &text) || needs_quotes(text)) {
		jsonw_init(&w, &json, JSON_WRITER_PLAIN);
		jsonw_value(&w, value);
		text = buf_str(&json);
	}
	put_text(out, indent, name, text, full);
}

static void put_members(struct printer *out, unsigned indent, const struct json *object, bool full)
{
	struct json_iter it;
	for (json_iter_init(&it, object); json_iter_next(&it);)
		put_value(out, indent, it.name, it.value, full);
}

void card_print_arguments(struct printer *out, const char *heading, const struct json *args, bool full)
{
	if (json_length(args) == 0)
		return;
	print_text(out, "\n");
	print_styled(out, PRINT_BOLD, "%s", heading);
	print_text(out, "\n");
	put_members(out, 2, args, full);
}

/* --------------------------------------------------------------------------------------------------------------- steps */

static const char *words_of(struct str effect)
{
	static const struct {
		const char *effect, *words;
	} rows[] = {{"read", "only reads"}, {"write", "changes something"}, {"destructive", "may destroy something"}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (str_eq(effect, str_from(rows[i].effect)))
			return rows[i].words;
	}
	return "may change or destroy something";
}

static void put_line(struct printer *out, const char *label, struct str value)
{
	if (value.n == 0)
		return;
	put_text(out, 5, str_from(label), value, true);
}

static struct str hosts_of(struct cli *cli, const struct json *hosts)
{
	struct str all = cli_joined(cli, hosts, ", ");
	if (all.n == 0)
		return S("nothing");
	return str_eq(all, S("*")) ? S("any public host") : all;
}

static struct str identity_of(struct cli *cli, const struct json *step)
{
	struct str binding = cli_str(step, "binding"), identity = cli_str(step, "identity");
	if (binding.n == 0)
		return S("nobody: it has no credential");
	if (identity.n == 0)
		return binding;
	return arena_printf(cli->arena, "%.*s, with %.*s", STR_FMT(identity), STR_FMT(binding));
}

/* Who made what would run, and whether that is proven. */
static void put_trust(struct cli *cli, struct printer *out, const struct json *step)
{
	bool trusted = cli_bool(step, "signed");
	struct str publisher = cli_str(step, "publisher"), pinned = cli_str(step, "pinned");
	const char *by = publisher.n > 0 ? cli_visible(cli, publisher).p : "nobody named";
	struct str text = arena_printf(cli->arena, "%s by %s%s%s", trusted ? "signed" : "unsigned: said to be", by,
				       cli_bool(step, "linked") ? ", a linked folder" : "",
				       str_eq(pinned, S("differs"))    ? ", not what the action was written for"
				       : str_eq(pinned, S("unpinned")) ? ", unpinned"
								       : "");
	print_text(out, "     ");
	print_styled(out, PRINT_BOLD, "Trust");
	print_text(out, ": ");
	print_styled(out, trusted ? PRINT_GOOD : PRINT_WARN, "%s", text.p);
	print_text(out, "\n");
	put_line(out, "Content", cli_str(step, "content_hash"));
}

static void put_step(struct cli *cli, struct printer *out, const struct json *step, size_t number, bool full)
{
	struct str effect = cli_str(step, "effect");
	print_text(out, "  %zu. ", number);
	print_from(out, cli_str(step, "op"));
	print_text(out, " of ");
	print_from(out, cli_str(step, "connector"));
	print_text(out, ", which ");
	print_styled(out, str_eq(effect, S("read")) ? PRINT_GOOD : PRINT_WARN, "%s", words_of(effect));
	print_text(out, "\n");
	put_line(out, "Reaches", hosts_of(cli, json_member(step, S("hosts"))));
	put_line(out, "As", identity_of(cli, step));
	put_trust(cli, out, step);
	if (json_length(json_member(step, S("arguments"))) == 0)
		return;
	print_text(out, "     With:\n");
	put_members(out, 7, json_member(step, S("arguments")), full);
}

void card_print_steps(struct cli *cli, struct printer *out, const struct json *steps, bool full)
{
	size_t n = json_length(steps);
	if (n == 0)
		return;
	print_text(out, "\n");
	print_styled(out, PRINT_BOLD, "What happens");
	print_text(out, "\n");
	for (size_t i = 0; i < n; i++)
		put_step(cli, out, json_at(steps, i), i + 1, full);
}

/* ---------------------------------------------------------------------------------------------------------------- card */

struct str card_span(struct cli *cli, uint64_t from_ns, uint64_t to_ns)
{
	uint64_t minutes = to_ns > from_ns ? (to_ns - from_ns) / TIME_SECOND / 60 : 0;
	if (minutes == 0)
		return S("less than a minute");
	if (minutes < 60)
		return arena_printf(cli->arena, "%llu min", (unsigned long long)minutes);
	return arena_printf(cli->arena, "%llu h %llu min", (unsigned long long)minutes / 60,
			    (unsigned long long)minutes % 60);
}

static uint64_t time_of(const struct json *object, const char *name)
{
	uint64_t ns = 0;
	return timestamp_parse(cli_str(object, name), &ns, NULL) == 0 ? ns : 0;
}

static void put_who(struct cli *cli, struct printer *out, const struct json *pending)
{
	const struct json *caller = json_member(pending, S("caller"));
	struct str id = cli_str(caller, "id"), session = cli_str(pending, "session_id");
	if (str_eq(id, S("user")))
		put_row(out, "Asked by", S("a person, through the command line or the page"));
	else
		put_row(out, "Asked by",
			arena_printf(cli->arena, "%.*s (agent %.*s)", STR_FMT(cli_str(caller, "name")), STR_FMT(id)));
	if (session.n > 0)
		put_row(out, "Session",
			arena_printf(cli->arena, "%.*s%s", STR_FMT(session),
				     cli_bool(pending, "session_ended") ? ", which has ended" : ""));
	if (cli_str(pending, "working_dir").n > 0)
		put_row(out, "In", cli_str(pending, "working_dir"));
}

static void put_state(struct cli *cli, struct printer *out, const struct json *pending, uint64_t now_ns)
{
	struct str state = cli_str(pending, "state"), by = cli_str(pending, "decided_by");
	struct str reason = cli_str(pending, "reason");
	uint64_t asked = time_of(pending, "requested_at"), expires = time_of(pending, "expires_at");
	put_row(out, "Asked", cli_time(cli, cli_str(pending, "requested_at")));
	if (str_eq(state, S("pending_approval"))) {
		put_row(out, "Waits",
			arena_printf(cli->arena, "%s so far, and expires in %s", card_span(cli, asked, now_ns).p,
				     card_span(cli, now_ns, expires).p));
	} else {
		print_pair_styled(out, "State", PRINT_WARN, cli_visible(cli, state).p);
		if (by.n > 0)
			put_row(out, "Decided by", by);
		if (reason.n > 0)
			put_row(out, "Reason", reason);
	}
	if (cli_str(pending, "problem").n > 0)
		print_pair_styled(out, "Problem", PRINT_BAD, cli_visible(cli, cli_str(pending, "problem")).p);
	if (cli_bool(pending, "vault_locked"))
		print_pair_styled(out, "Vault", PRINT_WARN, "locked: it has to be unlocked first");
}

/* What the service says of it; words of the service's, not ours. */
static void put_preview(struct printer *out, const struct json *pending, bool full)
{
	const struct json *preview = json_member(pending, S("preview"));
	const struct json *fields = json_member(preview, S("fields"));
	struct str unavailable = cli_str(preview, "unavailable");
	if (cli_bool(pending, "preview_awaited"))
		unavailable = S("not fetched yet");
	if (json_length(fields) == 0 && unavailable.n == 0)
		return;
	print_text(out, "\n");
	print_styled(out, PRINT_BOLD, "What the service shows");
	print_text(out, "\n");
	if (unavailable.n > 0)
		put_text(out, 2, S("unavailable"), unavailable, full);
	for (size_t i = 0; i < json_length(fields); i++) {
		const struct json *field = json_at(fields, i);
		struct str value = cli_bool(field, "missing") ? S("(nothing)") : cli_str(field, "value");
		put_text(out, 2, cli_str(field, "label"), value, full);
	}
}

void card_print(struct cli *cli, struct printer *out, const struct json *pending, const struct card_view *view)
{
	put_row(out, "Asked for", cli_str(pending, "title"));
	put_row(out, "Approval", cli_str(pending, "id"));
	put_row(out, "Action", cli_str(pending, "action_name"));
	put_who(cli, out, pending);
	put_state(cli, out, pending, view->now_ns);
	card_print_arguments(out, cli_bool(pending, "edited") ? "Arguments, as a person changed them" : "Arguments",
			     json_member(pending, S("args")), view->full);
	card_print_steps(cli, out, json_member(pending, S("steps")), view->full);
	put_preview(out, pending, view->full);
	print_text(out, "\n");
	put_row(out, "Digest", cli_str(pending, "digest"));
}
