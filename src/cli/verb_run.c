#include "base/hex.h"
#include "base/limits.h"
#include "base/rand.h"
#include "base/time.h"
#include "cli/arguments.h"
#include "cli/card.h"
#include "cli/list.h"
#include "cli/unlock.h"
#include "cli/verb_functions.h"
#include "text/json_members.h"
#include <signal.h>
#include <time.h>

#define RUN_TIMEOUT_MS UINT64_C(3600000) /* when nothing else is said */
#define WAIT_MAX_NS    (UINT64_C(31) * 24 * 3600 * TIME_SECOND)
#define TURN_MS        20000                    /* of waiting at the daemon */
#define TURN_SHOWN_MS  1000                     /* the same where a person sees the time pass */
#define PAUSE_NS       (500 * TIME_MILLISECOND) /* after a turn that the daemon had no room for */
#define AGAIN_MS       5000                     /* for what the answer would have been that did not come */
#define CALL_ID_BYTES  16
#define LAST_WORDS_MAX 512

/* ------------------------------------------------------------------------------------------------------------ the wait */

struct running {
	struct cli *cli;
	struct str action;
	const struct json *args;
	char call_id[2 * CALL_ID_BYTES + 1]; /* asking again with it is never a second run */
	struct str run_id;                   /* that was told, which may be another request's; "" = none yet */
	uint64_t timeout_ms;
	uint64_t begun_ns, until_ns; /* monotonic; until 0 = nobody waits */
	bool shown;                  /* a terminal is told how the time passes */
};

/* What is said when a person interrupts the wait, made before it as a handler of a signal may make nothing. */
static char last_words[LAST_WORDS_MAX];
static size_t last_words_n;

static void say_last_words(int number)
{
	(void)!write(STDERR_FILENO, last_words, last_words_n);
	(void)raise(number); /* which does what it does, as this handler was for once */
}

static void watch_for_interrupt(struct str words)
{
	struct sigaction action = {.sa_handler = say_last_words, .sa_flags = (int)SA_RESETHAND};
	last_words_n = MIN(words.n, sizeof last_words);
	memcpy(last_words, words.p, last_words_n);
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static void watch_no_more(void)
{
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
}

static int make_body(const struct running *running, uint64_t wait_ms, bool dry_run, struct buf *body, struct err *err)
{
	struct json_writer w;
	jsonw_init(&w, body, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_str_given(&w, "run_id", running->run_id);
	if (running->run_id.n == 0) {
		jsonw_key(&w, S("args"));
		jsonw_value(&w, running->args);
	}
	if (dry_run)
		member_bool(&w, "dry_run", true);
	else if (running->run_id.n == 0)
		member_z(&w, "call_id", running->call_id);
	member_u64_given(&w, "wait_ms", wait_ms);
	jsonw_end_object(&w);
	return buf_check(body, "the arguments", err);
}

static int ask(const struct running *running, uint64_t wait_ms, bool dry_run, struct json **ret, struct err *err)
{
	AUTO_BUF body = BUF_INIT(2 * LIMIT_INPUT);
	if (make_body(running, wait_ms, dry_run, &body, err) < 0)
		return -1;
	const struct client_request request = {
		.operation = OP_ACTION_RUN,
		.parameters = {running->action},
		.body = buf_str(&body),
		.timeout_ms = running->timeout_ms + wait_ms,
	};
	return cli_call(running->cli, &request, ret, err);
}

static bool is_pending(const struct json *envelope)
{
	return str_eq(cli_str(envelope, "status"), S("pending_approval"));
}

/* Whom or what a run waits for that has not ended; it may have been approved and not be over. */
static const char *waits_for(const struct json *envelope)
{
	static const struct {
		const char *state, *words;
	} table[] = {{"pending_approval", "for a person"},
		     {"awaiting_vault", "for the vault to be unlocked"},
		     {"queued", "for its turn"}};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (str_eq(cli_str(envelope, "state"), str_from(table[i].state)))
			return table[i].words;
	}
	return NULL; /* it runs */
}

static void show_time(const struct running *running, const struct json *envelope)
{
	uint64_t seconds = (clock_monotonic_ns(NULL) - running->begun_ns) / TIME_SECOND;
	const char *words = waits_for(envelope);
	if (running->shown)
		dprintf(STDERR_FILENO, "\r\033[Kaileron: waiting %s, %llu s", words != NULL ? words : "while it runs",
			(unsigned long long)seconds);
}

/* One turn; a daemon that was started anew in between is asked again, for the same run. */
static int ask_turn(struct running *running, uint64_t wait_ms, struct json **ret, struct err *err)
{
	static struct err first;
	err_clear(&first);
	if (ask(running, wait_ms, false, ret, &first) == 0)
		return 0;
	if (first.class == ERR_UNREACHABLE) {
		client_free(TAKE(running->cli->client));
		return ask(running, wait_ms, false, ret, err);
	}
	if (err != NULL)
		*err = first;
	return -1;
}

/* The daemon answers at once when others wait already; it is not asked all the time then. */
static void pause_until(uint64_t turn_over_ns)
{
	uint64_t now = clock_monotonic_ns(NULL);
	if (now >= turn_over_ns)
		return;
	const struct timespec pause = {.tv_nsec = (long)MIN(turn_over_ns - now, PAUSE_NS)};
	nanosleep(&pause, NULL);
}

/* Until a person has decided and it has ended, or the time has passed. */
static int wait_for_end(struct running *running, struct json **envelope, struct err *err)
{
	int rc = 0;
	struct cli *cli = running->cli;
	const char *id = cli_visible(cli, cli_str(*envelope, "run_id")).p;
	running->run_id = arena_str(cli->arena, cli_str(*envelope, "run_id"));
	watch_for_interrupt(arena_printf(cli->arena,
					 "\naileron: the request stands; 'aileron runs show %s' tells what becomes of "
					 "it, 'aileron runs cancel %s' takes it back\n",
					 id, id));
	while (rc == 0 && is_pending(*envelope)) {
		uint64_t now = clock_monotonic_ns(NULL);
		uint64_t most = running->shown ? TURN_SHOWN_MS : TURN_MS;
		if (now >= running->until_ns)
			break;
		struct json *next = NULL;
		uint64_t turn = MAX(MIN(most, (running->until_ns - now) / TIME_MILLISECOND), 1);
		show_time(running, *envelope);
		rc = ask_turn(running, turn, &next, err);
		if (rc == 0) {
			json_free(*envelope);
			*envelope = next;
			if (is_pending(next))
				pause_until(now + turn * TIME_MILLISECOND);
		}
	}
	if (running->shown)
		dprintf(STDERR_FILENO, "\r\033[K");
	watch_no_more();
	return rc;
}

/* ---------------------------------------------------------------------------------------------------------- action run */

static void tell_pending(struct cli *cli, struct printer *out, const struct json *envelope)
{
	const char *approval = cli_visible(cli, cli_str(envelope, "approval_id")).p;
	const char *run = cli_visible(cli, cli_str(envelope, "run_id")).p;
	const char *words = waits_for(envelope);
	bool undecided = str_eq(cli_str(envelope, "state"), S("pending_approval"));
	print_from(out, cli_str(envelope, "action"));
	if (words == NULL)
		print_text(out, " %s and has not ended.\n\n", approval[0] != '\0' ? "was approved, runs" : "runs");
	else
		print_text(out, "%s waits %s and has not run.\n\n", undecided ? "" : " was approved,", words);
	if (undecided)
		print_text(out,
			   "  aileron approval show %s\n  aileron approval approve %s\n  aileron approval deny %s\n",
			   approval, approval, approval);
	else
		print_text(out, "  aileron runs show %s\n", run);
	print_text(out, "  aileron runs cancel %s\n", run);
	if (!undecided)
		return;
	print_text(out, "\n  ");
	print_from(out, cli_str(envelope, "review_url"));
	print_text(out, "\n");
}

static int tell(struct cli *cli, const struct json *envelope)
{
	bool pending = is_pending(envelope);
	if (cli->json)
		print_json(&cli->out, envelope);
	else if (pending)
		tell_pending(cli, &cli->out, envelope);
	else
		print_json_page(&cli->out, json_member(envelope, S("output")));
	return pending ? err_row(ERR_PENDING_APPROVAL)->exit_status : CLI_OK;
}

/* What the person would be given who is asked: time, a say in the arguments, a look at the service. */
static void tell_asking(struct cli *cli, const struct json *told)
{
	struct printer *out = &cli->out;
	const struct json *preview = json_member(told, S("preview"));
	uint64_t span_ns = (uint64_t)cli_int(told, "expires_in_s") * TIME_SECOND;
	print_text(out, "\n");
	print_pair(out, "Expires in", card_span(cli, 0, span_ns));
	print_pair(out, "Arguments", cli_bool(told, "editable") ? S("may be edited") : S("stay as they are"));
	if (preview == NULL)
		return;
	print_pair(out, "Preview", cli_str(preview, "op"));
	print_pair(out, "Shows", cli_joined(cli, json_member(preview, S("labels")), ", "));
	if (cli_str(preview, "problem").n > 0)
		print_pair_styled(out, "Problem", PRINT_BAD, cli_visible(cli, cli_str(preview, "problem")).p);
	card_print_arguments(out, "Arguments of the preview", json_member(preview, S("arguments")), true);
}

static int tell_dry_run(struct cli *cli, const struct json *told)
{
	struct printer *out = &cli->out;
	if (cli->json) {
		print_json(out, told);
		return CLI_OK;
	}
	print_from(out, cli_str(told, "action"));
	print_text(out, cli_bool(told, "gated") ? " would ask a person first. Nothing was run.\n"
						: " would run at once. Nothing was run.\n");
	card_print_arguments(out, "Arguments", json_member(told, S("args")), true);
	card_print_steps(cli, out, json_member(told, S("calls")), true);
	if (cli_bool(told, "gated"))
		tell_asking(cli, told);
	return CLI_OK;
}

static int read_times(struct running *running, struct err *err)
{
	const struct verb_line *line = running->cli->line;
	const char *timeout = verb_text(line, "timeout"), *wait = verb_text(line, "wait");
	uint64_t ns = WAIT_MAX_NS;
	running->timeout_ms = RUN_TIMEOUT_MS;
	running->begun_ns = clock_monotonic_ns(NULL);
	if (wait != NULL && duration_parse(str_from(wait), WAIT_MAX_NS, &ns, err) < 0)
		return cli_refuse("wait", err);
	if (verb_switch(line, "wait"))
		running->until_ns = running->begun_ns + ns;
	if (timeout == NULL)
		return 0;
	if (duration_parse(str_from(timeout), WAIT_MAX_NS, &ns, err) < 0)
		return cli_refuse("timeout", err);
	running->timeout_ms = MAX(ns / TIME_MILLISECOND, 1);
	return 0;
}

/* The inputs are asked for only where one at a time is typed, whose kinds they tell. */
static struct json *read_args(struct cli *cli, struct str action, struct err *err)
{
	AUTO(json) *shown = NULL;
	struct arguments_wish wish = {.single = "arg"};
	const struct client_request request = {.operation = OP_ACTION_SHOW, .parameters = {action}};
	if (verb_text_at(cli->line, "arg", 0) != NULL && cli_call(cli, &request, &shown, err) < 0)
		return NULL;
	wish.inputs = json_member(shown, S("inputs"));
	return arguments_read(cli, &wish, err);
}

static void begin_call(struct running *running)
{
	unsigned char bytes[CALL_ID_BYTES];
	rand_bytes(bytes, sizeof bytes);
	hex_format(str_of(bytes, sizeof bytes), running->call_id);
}

/* A request was sent and its answer did not come: the call id tells what became of it, and is never a second run. */
static int ask_again(struct running *running, const struct err *first, struct json **ret, struct err *err)
{
	static struct err second;
	err_clear(&second);
	client_free(TAKE(running->cli->client));
	running->timeout_ms = MIN(running->timeout_ms, AGAIN_MS);
	if (ask(running, AGAIN_MS, false, ret, &second) == 0)
		return 0;
	if (second.class == ERR_UNREACHABLE)
		return fail(err, ERR_OUTCOME_UNKNOWN,
			    "'%.*s' may have run: %s; see with 'aileron runs list' before you run it once more",
			    STR_FMT(running->action), first->message);
	if (err != NULL)
		*err = second;
	return -1;
}

/* One call. Whoever interrupts it, or loses its answer, is told that it may have run. */
static int ask_once(struct running *running, struct json **ret, struct err *err)
{
	static struct err first;
	err_clear(&first);
	begin_call(running);
	watch_for_interrupt(
		S("\naileron: what was asked for may have run; 'aileron runs list' tells what became of it\n"));
	int rc = ask(running, 0, false, ret, &first);
	watch_no_more();
	if (rc == 0)
		return 0;
	if (first.class == ERR_UNREACHABLE && running->cli->client != NULL)
		return ask_again(running, &first, ret, err);
	*err = first;
	return -1;
}

/* An action that runs at once and needs the vault: a person at a terminal may open it. */
static int ask_first(struct running *running, struct json **ret, struct err *err)
{
	if (ask_once(running, ret, err) == 0)
		return 0;
	if (!unlock_is_wanted(err))
		return -1;
	err_clear(err);
	return unlock_before_verb(running->cli, err) < 0 ? -1 : ask_once(running, ret, err);
}

int verb_action_run(struct cli *cli, struct err *err)
{
	AUTO(json) *answer = NULL;
	struct running running = {.cli = cli, .action = str_from(cli_argument(cli, 0))};
	running.shown = !cli->json && isatty(STDERR_FILENO) == 1;
	if (read_times(&running, err) < 0)
		return -1;
	AUTO(json) *args = read_args(cli, running.action, err);
	if (args == NULL)
		return -1;
	running.args = args;
	if (verb_switch(cli->line, "dry-run"))
		return ask(&running, 0, true, &answer, err) < 0 ? -1 : tell_dry_run(cli, answer);
	if (ask_first(&running, &answer, err) < 0)
		return -1;
	if (!is_pending(answer) || running.until_ns == 0)
		return tell(cli, answer);
	if (!cli->json)
		print_note("%.*s waits for a person: 'aileron approval approve %.*s'", STR_FMT(running.action),
			   STR_FMT(cli_str(answer, "approval_id")));
	return wait_for_end(&running, &answer, err) < 0 ? -1 : tell(cli, answer);
}

/* --------------------------------------------------------------------------------------------------------------- runs */

static enum print_style style_of(struct str state)
{
	static const char *const bad[] = {"failed", "denied", "refused", "outcome_unknown"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (str_eq(state, str_from(bad[i])))
			return PRINT_BAD;
	}
	if (str_eq(state, S("completed")))
		return PRINT_GOOD;
	return str_eq(state, S("cancelled")) || str_eq(state, S("expired")) ? PRINT_PLAIN : PRINT_WARN;
}

static void put_row(struct cli *cli, struct table *table, const struct json *run)
{
	table_cell(table, cli_time(cli, cli_str(run, "requested_at")));
	table_cell(table, cli_str(run, "id"));
	table_cell_styled(table, style_of(cli_str(run, "state")), cli_str(run, "state"));
	table_cell(table, cli_str(run, "action"));
	table_cell(table, cli_str(json_member(run, S("caller")), "name"));
	table_cell(table, cli_str(run, "approval_id"));
}

int verb_runs_list(struct cli *cli, struct err *err)
{
	static const struct table_column columns[] = {
		{"ASKED", 0}, {"ID", 0}, {"STATE", 0}, {"ACTION", 12}, {"BY", 6}, {"APPROVAL", 12},
	};
	static const struct cli_parameter filters[] = {
		{"state", "state"}, {"action", "action"}, {"since", "since"}, {"limit", "limit"}};
	struct cli_list list = {OP_RUN_LIST, STR_EMPTY, "items", columns, ARRAY_LEN(columns), put_row};
	if (cli_query(cli, filters, ARRAY_LEN(filters), &list.query, err) < 0)
		return -1;
	return cli_list(cli, &list, err);
}

static void put_attempts(struct cli *cli, const struct json *attempts)
{
	static const struct table_column columns[] = {
		{"STEP", 0}, {"TRY", 0}, {"OPERATION", 10}, {"CONNECTOR", 16}, {"BEGAN", 0}, {"ENDED", 0}, {"HOW", 10},
	};
	if (json_length(attempts) == 0)
		return;
	AUTO(table) *table = table_new(columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < json_length(attempts); i++) {
		const struct json *attempt = json_at(attempts, i);
		bool ended = cli_str(attempt, "ended_at").n > 0;
		struct str class = cli_str(attempt, "class");
		table_cell(table, cli_str(attempt, "step"));
		table_cell(table, arena_printf(cli->arena, "%lld", (long long)cli_int(attempt, "attempt")));
		table_cell(table, cli_str(attempt, "op"));
		table_cell(table, cli_str(attempt, "connector"));
		table_cell(table, cli_time(cli, cli_str(attempt, "started_at")));
		table_cell(table, cli_time(cli, cli_str(attempt, "ended_at")));
		table_cell(table, class.n > 0 ? class : ended ? S("well") : S("not known"));
	}
	print_text(&cli->out, "\n");
	table_print(table, &cli->out);
}

static void pair_if(struct printer *out, const char *label, struct str value)
{
	if (value.n > 0)
		print_pair(out, label, value);
}

static void put_times(struct cli *cli, const struct json *run)
{
	static const struct {
		const char *label, *member;
	} times[] = {{"Asked", "requested_at"},
		     {"Expires", "expires_at"},
		     {"Decided", "decided_at"},
		     {"Claimed", "claimed_at"},
		     {"Ended", "ended_at"}};
	for (size_t i = 0; i < ARRAY_LEN(times); i++)
		pair_if(&cli->out, times[i].label, cli_time(cli, cli_str(run, times[i].member)));
}

static void describe(struct cli *cli, const struct json *run)
{
	struct printer *out = &cli->out;
	const struct json *caller = json_member(run, S("caller")), *error = json_member(run, S("error"));
	struct str state = cli_str(run, "state");
	print_pair(out, "Run", cli_str(run, "id"));
	print_pair(out, "Action",
		   arena_printf(cli->arena, "%.*s %.*s", STR_FMT(cli_str(run, "action")),
				STR_FMT(cli_str(run, "action_version"))));
	print_pair(out, "File", cli_str(run, "action_hash"));
	print_pair_styled(out, "State", style_of(state), cli_visible(cli, state).p);
	print_pair(out, "Asked by", cli_str(caller, "name"));
	pair_if(out, "Session", cli_str(run, "session"));
	pair_if(out, "In", cli_str(run, "working_dir"));
	pair_if(out, "Approval", cli_str(run, "approval_id"));
	pair_if(out, "Grant", cli_str(run, "grant_id"));
	put_times(cli, run);
	pair_if(out, "Decided by", cli_str(run, "decided_by"));
	pair_if(out, "Reason", cli_str(run, "reason"));
	pair_if(out, "Failure", cli_str(error, "class"));
	pair_if(out, "Message", cli_str(error, "message"));
	pair_if(out, "It ran", cli_str(json_member(error, S("details")), "ran"));
	pair_if(out, "Audit", cli_str(run, "audit_id"));
	card_print_arguments(out, cli_bool(run, "edited") ? "Arguments, as a person changed them" : "Arguments",
			     json_member(run, S("args")), true);
	put_attempts(cli, json_member(run, S("attempts")));
	if (json_member(run, S("output")) == NULL)
		return;
	print_text(out, "\n");
	print_styled(out, PRINT_BOLD, "Output");
	print_text(out, "\n");
	print_json_page(out, json_member(run, S("output")));
}

static int show(struct cli *cli, enum api_operation_id operation, struct err *err)
{
	AUTO(json) *run = NULL;
	const struct client_request request = {
		.operation = operation,
		.parameters = {str_from(cli_argument(cli, 0))},
	};
	if (cli_call(cli, &request, &run, err) < 0)
		return -1;
	if (cli->json)
		print_json(&cli->out, run);
	else
		describe(cli, run);
	return CLI_OK;
}

int verb_runs_show(struct cli *cli, struct err *err)
{
	return show(cli, OP_RUN_SHOW, err);
}

int verb_runs_cancel(struct cli *cli, struct err *err)
{
	return show(cli, OP_RUN_CANCEL, err);
}
