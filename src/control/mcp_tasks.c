#include "control/mcp_tasks.h"
#include "base/base64.h"
#include "base/rand.h"
#include "base/time.h"
#include "control/mcp_calls.h"
#include "supervise/supervise.h"

#define ID_BYTES 24
#define ID_SIZE  48 /* "task_", 32 characters, with a NUL */
#define META_MAX 1024

struct row {
	struct str id, caller, run;
	uint64_t created_ns, ttl_ms;
};

bool mcp_tasks_are_drafted(const struct control *control)
{
	return str_eq(supervise_setting(control->start, SETTING_MCP_TOOL_APPROVAL), S("1"));
}

/* ------------------------------------------------------------------------------------------------------------- rows */

/* By its id and caller, or by its run. 1 with *ret in the arena, 0, -1. */
static int read_row(struct db_tx *tx, struct arena *arena, const struct row *wanted, struct row *ret, struct err *err)
{
	struct db_stmt *q =
		db_stmt(tx, "SELECT id, caller, run, created_ns, ttl_ms FROM tasks"
			    " WHERE (?1 = '' OR id = ?1) AND (?2 = '' OR run = ?2) AND (?3 = '' OR caller = ?3)");
	db_bind_str(q, wanted->id);
	db_bind_str(q, wanted->run);
	db_bind_str(q, wanted->caller);
	int got = db_step(q, err);
	if (got == 1)
		*ret = (struct row){
			.id = arena_str(arena, db_str(q, 0)),
			.caller = arena_str(arena, db_str(q, 1)),
			.run = arena_str(arena, db_str(q, 2)),
			.created_ns = (uint64_t)db_int(q, 3),
			.ttl_ms = (uint64_t)db_int(q, 4),
		};
	db_finish(q);
	return got;
}

static bool is_over(const struct row *row)
{
	return clock_wall_ns(NULL) / TIME_MILLISECOND > row->created_ns / TIME_MILLISECOND + row->ttl_ms;
}

static bool find(struct control *control, struct arena *arena, const struct row *wanted, struct row *ret)
{
	struct db_tx *tx = db_read(control->db);
	int got = read_row(tx, arena, wanted, ret, NULL);
	db_done(tx);
	return got == 1 && !is_over(ret);
}

struct making {
	struct arena *arena;
	struct row row;
};

static int store(struct db_tx *tx, void *user, struct err *err)
{
	struct making *making = user;
	const struct row wanted = {.run = making->row.run, .caller = making->row.caller};
	int got = read_row(tx, making->arena, &wanted, &making->row, err);
	if (got != 0)
		return got < 0 ? -1 : 0;
	struct db_stmt *insert =
		db_stmt(tx, "INSERT INTO tasks (id, caller, run, created_ns, ttl_ms) VALUES (?, ?, ?, ?, ?)");
	db_bind_str(insert, making->row.id);
	db_bind_str(insert, making->row.caller);
	db_bind_str(insert, making->row.run);
	db_bind_int(insert, (int64_t)making->row.created_ns);
	db_bind_int(insert, (int64_t)making->row.ttl_ms);
	return db_run(insert, err) < 0 ? -1 : 0;
}

int mcp_tasks_sweep(struct db_tx *tx, void *nothing, struct err *err)
{
	(void)nothing;
	struct db_stmt *gone = db_stmt(tx, "DELETE FROM tasks WHERE created_ns / 1000000 + ttl_ms < ?");
	db_bind_int(gone, (int64_t)(clock_wall_ns(NULL) / TIME_MILLISECOND));
	return db_run(gone, err) < 0 ? -1 : 0;
}

/* ---------------------------------------------------------------------------------------------------- as of a run */

/* Of the draft: what may still be done about it, and what became of it. */
struct draft {
	const char *task_meta, *result_meta;
};

#define AUTHORIZATION(remediation, hints)                                                                              \
	"\"io.modelcontextprotocol/"                                                                                   \
	"authorization\":{\"reason\":\"insufficient_authorization\",\"remediation\":\"" remediation "\"" hints "}"
#define WAITS              AUTHORIZATION("available", ",\"remediationHints\":[{\"type\":\"task\"}]")
#define ENDED(disposition) "\"io.modelcontextprotocol/tool-approval-disposition\":\"" disposition "\""
#define DENIED                                                                                                         \
	{                                                                                                              \
		"", ENDED("denied-not-executed") "," AUTHORIZATION("unavailable", "")                                  \
	}

static const struct draft drafts[RUN_STATE__MAX] = {
	[RUN_PENDING_APPROVAL] = {WAITS ",\"io.modelcontextprotocol/model-immediate-response\":"
					"\"Waiting for a person's approval; continue with other work.\"",
				  ""},
	[RUN_AWAITING_VAULT] = {WAITS, ""},
	[RUN_QUEUED] = {WAITS, ""},
	[RUN_RUNNING] = {"", ""},
	[RUN_COMPLETED] = {"", ENDED("approved-executed")},
	[RUN_FAILED] = {"", ENDED("execution-error")},
	[RUN_DENIED] = DENIED,
	[RUN_EXPIRED] = DENIED,
	[RUN_REFUSED] = DENIED,
	[RUN_CANCELLED] = {"", ""},
	[RUN_OUTCOME_UNKNOWN] = {"", ENDED("outcome-unknown")},
};

static enum mcp_task_status status_of(enum run_state state)
{
	if (!run_state_is_terminal(state))
		return MCP_TASK_WORKING;
	return state == RUN_CANCELLED ? MCP_TASK_CANCELLED : MCP_TASK_COMPLETED;
}

static struct str message_of(struct control *control, struct arena *arena, const struct run *run)
{
	if (run->state == RUN_PENDING_APPROVAL)
		return arena_printf(arena, "waits for a person's approval at %.*s",
				    STR_FMT(run_page(control, arena, run)));
	if (run->state == RUN_AWAITING_VAULT)
		return S("was approved, and waits for a person to unlock the vault");
	return run_state_is_terminal(run->state) ? STR_EMPTY : S("was approved, and runs");
}

/* `ended` is an answer to put the result into; it lives as long as the task. */
static struct mcp_task task_of(struct control *control, struct arena *arena, const struct row *row,
			       const struct run *run, struct mcp_answer *ended)
{
	const struct draft *draft = &drafts[run->state];
	bool drafted = mcp_tasks_are_drafted(control);
	struct mcp_task task = {
		.id = row->id,
		.status = status_of(run->state),
		.message = message_of(control, arena, run),
		.created_ns = row->created_ns,
		.updated_ns = MAX(MAX(row->created_ns, run->decided_ns), MAX(run->claimed_ns, run->ended_ns)),
		.ttl_ms = row->ttl_ms,
		.poll_ms = MCP_TASKS_POLL_MS,
		.meta = drafted ? str_from(draft->task_meta) : STR_EMPTY,
		.result_meta = drafted ? str_from(draft->result_meta) : STR_EMPTY,
	};
	if (task.status == MCP_TASK_COMPLETED) {
		mcp_calls_put_run(control, ended, run);
		task.content = buf_str(&ended->content);
		task.structured = buf_str(&ended->structured);
		task.is_error = ended->is_error;
	}
	return task;
}

#define EMPTY_ANSWER ((struct mcp_answer){.content = BUF_INIT(MCP_ANSWER_MAX), .structured = BUF_INIT(MCP_ANSWER_MAX)})

static void release(struct mcp_answer *ended)
{
	buf_release(&ended->content);
	buf_release(&ended->structured);
}

/* ---------------------------------------------------------------------------------------------------------- for MCP */

static struct str make_id(struct arena *arena)
{
	unsigned char bytes[ID_BYTES];
	rand_bytes(bytes, sizeof bytes);
	AUTO_BUF text = BUF_INIT(ID_SIZE);
	buf_add_z(&text, "task_");
	base64_encode(&text, str_of(bytes, sizeof bytes), BASE64_URL_NOPAD);
	return arena_str(arena, buf_str(&text));
}

int mcp_tasks_answer(struct control *control, const struct mcp_caller *caller, const struct run *run,
		     struct mcp_answer *answer, struct err *err)
{
	AUTO(arena) *arena = arena_new();
	uint64_t now = clock_wall_ns(NULL);
	struct making making = {
		.arena = arena,
		.row = {.id = make_id(arena),
			.caller = caller->id,
			.run = run->id,
			.created_ns = now,
			.ttl_ms = MCP_TASKS_KEPT_MS +
				  (run->expires_ns > now ? (run->expires_ns - now) / TIME_MILLISECOND : 0)},
	};
	/* On disk before it is told: an immediate tasks/get finds it. */
	if (db_write(control->db, store, &making, err) < 0)
		return -1;
	struct mcp_answer ended = EMPTY_ANSWER;
	const struct mcp_task task = task_of(control, arena, &making.row, run, &ended);
	mcp_answer_task(answer, &task);
	release(&ended);
	return 0;
}

bool mcp_tasks_get(void *user, const struct mcp_caller *caller, struct str id, struct mcp_answer *answer)
{
	struct control *control = user;
	AUTO(arena) *arena = arena_new();
	const struct row wanted = {.id = id, .caller = caller->id};
	struct row row;
	struct run run;
	if (id.n == 0 || !find(control, arena, &wanted, &row) ||
	    runs_get(control->runs, arena, caller->id, row.run, &run, NULL) < 0)
		return false;
	struct mcp_answer ended = EMPTY_ANSWER;
	const struct mcp_task task = task_of(control, arena, &row, &run, &ended);
	mcp_answer_task(answer, &task);
	release(&ended);
	return true;
}

/* Nothing of ours ever asks for input: what is given is not wanted, and acknowledged. */
bool mcp_tasks_update(void *user, const struct mcp_caller *caller, struct str id, const struct json *inputs)
{
	(void)inputs;
	AUTO(arena) *arena = arena_new();
	const struct row wanted = {.id = id, .caller = caller->id};
	struct row row;
	return id.n > 0 && find(user, arena, &wanted, &row);
}

/* The agent's own word about its own request, which a person has not decided yet; too late is no error. */
bool mcp_tasks_cancel(void *user, const struct mcp_caller *caller, struct str id)
{
	struct control *control = user;
	AUTO(arena) *arena = arena_new();
	const struct row wanted = {.id = id, .caller = caller->id};
	struct row row;
	if (id.n == 0 || !find(control, arena, &wanted, &row))
		return false;
	const struct audit_event by = {.actor = AUDIT_ACTOR_AGENT, .actor_id = caller->id};
	struct err err = {0};
	(void)!runs_cancel(control->runs, caller->id, row.run, &by, &err);
	return true;
}

void mcp_tasks_tell(struct control *control, struct mcp *mcp, struct str run_id)
{
	AUTO(arena) *arena = arena_new();
	const struct row wanted = {.run = run_id};
	struct row row;
	struct run run;
	if (!find(control, arena, &wanted, &row) || runs_get(control->runs, arena, row.caller, row.run, &run, NULL) < 0)
		return;
	struct mcp_answer ended = EMPTY_ANSWER;
	const struct mcp_task task = task_of(control, arena, &row, &run, &ended);
	mcp_task_changed(mcp, row.caller, &task);
	release(&ended);
}
