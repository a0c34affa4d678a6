/*
 * run: the states of a run and of its approval, in the database
 *
 * A row of `runs`. Every change is one job of the writer (store/db.h) that checks the state it starts from, writes the event
 * of the record, and refuses otherwise: two who decide race here, and one wins.
 *
 *   pending_approval ─ approve ─▶ queued ─ claim ─▶ running ─▶ completed | failed | cancelled | outcome_unknown
 *        │  │  │  └── cancel ──▶ cancelled   │  └── vault locked ──▶ awaiting_vault ─ unlocked ─▶ queued
 *        │  │  └───── deny ────▶ denied      └───── a part changed ──▶ refused   └─ 15 min ──▶ refused
 *        │  └──────── a part changed ─▶ refused
 *        └─────────── its time ───────▶ expired
 *
 * Without a gate a run begins as running.
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "store/db.h"

enum run_state {
	RUN_PENDING_APPROVAL,
	RUN_AWAITING_VAULT,
	RUN_QUEUED,
	RUN_RUNNING,
	RUN_COMPLETED,
	RUN_FAILED,
	RUN_DENIED,
	RUN_EXPIRED,
	RUN_REFUSED,
	RUN_CANCELLED,
	RUN_OUTCOME_UNKNOWN,
	RUN_STATE__MAX
};
const char *run_state_name(enum run_state state); /* as in the database and on the wire */
bool run_state_named(struct str name, enum run_state *ret);
bool run_state_is_terminal(enum run_state state);

#define RUN_ASKED_ARGS_MAX   ((size_t)64 << 10) /* bytes of arguments that a person is to read */
#define RUN_PENDING_MAX      20                 /* of one caller */
#define RUN_JOINED_MAX       1000               /* call ids of others that a run is known by */
#define RUN_EXPIRY_DEFAULT_S (UINT64_C(24) * 3600)
#define RUN_AWAITING_VAULT_S (UINT64_C(15) * 60)
#define RUN_CALL_ID_MAX      64
#define RUN_ID_SIZE          27 /* ULID, with a NUL */
#define RUN_APPROVAL_ID_SIZE 41 /* "act-20260101T000000-" and 16 hex digits, with a NUL */

/* Who asks. */
struct run_caller {
	struct str id;          /* "user", or of a row of `agents` */
	struct str name;        /* for people: "claude" */
	struct str session;     /* "" = none */
	struct str working_dir; /* "" = not known */
};

struct run {
	struct str id;
	struct run_caller caller;
	struct str call_id;
	struct str action, action_version, action_hash;
	struct str args;  /* canonical JSON */
	struct str bound; /* what the digest was made of, without its first line; "" without a gate */
	enum run_state state;
	struct str approval_id; /* "" without a gate */
	struct str grant_id;    /* "" = none */
	bool edited;
	uint64_t requested_ns, expires_ns, decided_ns, claimed_ns, ended_ns; /* 0 = not (yet) */
	struct str decided_by, reason; /* of who said no, or what part was refused */
	struct str preview;            /* JSON; "" = none, or erased */
	struct str result;             /* JSON {"action","output","steps"} of a completed one */
	struct str error;              /* failure envelope's inner object, JSON; "" = none */
	struct str audit_id;
};

/* ---------------------------------------------------------------------------------------------------------- its error */

#define RUN_ERROR_MAX ((size_t)6 * (ERR_MESSAGE_MAX + ERR_DETAILS_MAX) + 1024)
/* The inner object of the failure envelope: {"class","message","retriable","boundary","details"}. */
void run_put_error(struct buf *out, const struct err *error);
/* The same back; INTERNAL_ERROR for a text that is none. */
void run_get_error(struct str text, struct err *ret);
