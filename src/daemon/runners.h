/*
 * runners: the processes that control asks for by number
 *
 * A compiling runner's socket goes to control; a serving one's to egress, together with one end of a second pair whose
 * other end control gets: what passes between the two goes by way of egress (SUPERVISE_RELAY). Runners prove themselves to
 * control, in HELLO. Their number is bounded; whoever they served, they end with it. One that ends by itself other than by
 * exit(0) or exit(1) has crashed: that is logged, and told to control.
 */
#pragma once
#include "base/err.h"
#include "daemon/process.h"

#define RUNNERS_MAX 128

struct runners;
/* `control` and `egress` are told what happens; all outlive the object. */
struct runners *runners_new(struct process *control, struct process *egress, const char *program, struct err *err)
	__attribute__((warn_unused_result));
void runners_free(struct runners *runners); /* kills and reaps them; NULL is fine */
DEFINE_AUTO(runners, runners_free)

/* Requests of control. False: the message is not well-formed. What cannot be done is answered with RUNNER_FAILED. */
bool runners_start(struct runners *runners, const struct supervise_message *m);
bool runners_kill(struct runners *runners, const struct supervise_message *m);

/* Control ended: all of them; egress ended: those that serve. Nobody is told of the latter's end but control. */
void runners_kill_all(struct runners *runners);
void runners_kill_serving(struct runners *runners);
