#include "vault/keeper.h"
#include "base/limits.h"
#include "base/log.h"
#include "rpc/rpc.h"
#include "supervise/supervise.h"
#include "text/wire.h"
#include "vault/keeper_private.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

/* A peer that does not read what it asked for is not read either. */
#define QUEUED_MAX (4 * MIB)
/* Frames of one channel before the others have their turn. */
#define FRAMES_A_TURN 64

static volatile sig_atomic_t told_to_lock;

static uint64_t system_boottime(void *context)
{
	(void)context;
	struct timespec now;
	if (clock_gettime(CLOCK_BOOTTIME, &now) != 0)
		BUG("CLOCK_BOOTTIME cannot be read");
	return (uint64_t)now.tv_sec * TIME_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t keeper_now(const struct keeper *keeper)
{
	return clock_monotonic_ns(keeper->clock);
}

uint64_t keeper_now_s(const struct keeper *keeper)
{
	return clock_wall_ns(keeper->clock) / TIME_SECOND;
}

void keeper_active(struct keeper *keeper)
{
	keeper->active_ns = keeper_now(keeper);
}

static uint64_t suspended_now(const struct keeper *keeper)
{
	uint64_t monotonic = keeper_now(keeper);
	uint64_t boottime = keeper->boottime(keeper->clock->context);
	return boottime > monotonic ? boottime - monotonic : 0;
}

struct keeper *keeper_new(const struct keeper_options *options, struct err *err)
{
	const struct argon2_cost usual = ARGON2_DEFAULT;
	const char *folder = options->folder != NULL ? options->folder : ".";
	AUTO(keeper) *keeper = NEW(struct keeper);
	keeper->clock = options->clock != NULL ? options->clock : &clock_system;
	keeper->boottime = options->boottime != NULL ? options->boottime : system_boottime;
	keeper->parent_fd = options->parent_fd;
	keeper->auto_lock_ns = options->auto_lock_ms * TIME_MILLISECOND;
	keeper->uses = map_new(KEEPER_USES_MAX);
	keeper->tickets = map_new(KEEPER_TICKETS_MAX);
	keeper->refreshes = map_new(VAULT_ENTRIES_MAX);
	keeper->suspended_ns = suspended_now(keeper);
	keeper->vault = vault_new(folder, keeper->clock, options->cost != NULL ? options->cost : &usual, err);
	if (keeper->vault == NULL)
		return NULL;
	keeper->device = keeper_device_open(folder, err);
	if (keeper->device == NULL)
		return NULL;
	keeper->sealed = sealed_key_new(err);
	return keeper->sealed != NULL ? TAKE(keeper) : NULL;
}

void keeper_free(struct keeper *keeper)
{
	if (keeper == NULL)
		return;
	rpc_channel_free(keeper->control);
	rpc_channel_free(keeper->egress);
	keeper->control = keeper->egress = NULL;
	keeper_end_uses(keeper);
	keeper_end_tickets(keeper);
	keeper_lose_refreshes(keeper);
	map_free(keeper->uses);
	map_free(keeper->tickets);
	map_free(keeper->refreshes);
	sealed_key_free(keeper->sealed);
	keeper_device_free(keeper->device);
	vault_free(keeper->vault);
	free(keeper);
}

void keeper_ready_put(const struct keeper *keeper, struct buf *out)
{
	unsigned char sealing[SEALED_PUBLIC], id[SEALED_KEY_ID], device[ED25519_PUBLIC_SIZE];
	sealed_key_public(keeper->sealed, sealing);
	sealed_key_id(sealing, id);
	keeper_device_public(keeper->device, device);
	wire_put_str(out, str_of(sealing, sizeof sealing));
	wire_put_str(out, str_of(device, sizeof device));
	wire_put_str(out, str_of(id, sizeof id));
}

/* -------------------------------------------------------------------------------------------------------------- state */

bool keeper_is_unlocked(const struct keeper *keeper)
{
	return vault_is_unlocked(keeper->vault);
}

bool keeper_is_serving(const struct keeper *keeper)
{
	return vault_is_unlocked(keeper->vault) && keeper->closing_until_ns == 0;
}

int keeper_need_unlocked(const struct keeper *keeper, struct err *err)
{
	if (keeper_is_serving(keeper))
		return 0;
	struct vault_status status;
	vault_get_status(keeper->vault, &status);
	if (status.state == VAULT_STATE_MISSING)
		return fail(err, ERR_VAULT_MISSING, "there is no vault yet; make one with 'aileron vault init'");
	return fail(err, ERR_VAULT_LOCKED, "the vault is locked; unlock it with 'aileron vault unlock'");
}

void keeper_state_now(const struct keeper *keeper, struct keeper_state *ret)
{
	static struct vault_status status; /* what the texts point into */
	vault_get_status(keeper->vault, &status);
	static const enum keeper_lock_state states[] = {
		[VAULT_STATE_MISSING] = KEEPER_MISSING,
		[VAULT_STATE_LOCKED] = KEEPER_LOCKED,
		[VAULT_STATE_UNLOCKED] = KEEPER_UNLOCKED,
	};
	*ret = (struct keeper_state){
		.state = states[status.state],
		.version = status.version,
		.vault_id = str_from(status.vault_id),
		.generation = status.generation,
		.entries = (uint32_t)status.n_entries,
		.members = (uint32_t)status.n_members,
		.throttled_ms = keeper_throttle_left_ms(&keeper->throttle, keeper_now(keeper)),
		.unlocked_at_s = status.state == VAULT_STATE_UNLOCKED ? keeper->unlocked_at_s : 0,
		.auto_lock_ms = keeper->auto_lock_ns / TIME_MILLISECOND,
		.device_key_id = str_from(keeper_device_id(keeper->device)),
		.trouble = status.trouble != ERR_NONE ? str_from(err_row(status.trouble)->name) : STR_EMPTY,
	};
}

/* ------------------------------------------------------------------------------------------------------------ channels */

static void send_to(struct keeper *keeper, bool control, uint16_t type, uint32_t id, const struct str *parts, size_t n)
{
	struct rpc_channel *channel = control ? keeper->control : keeper->egress;
	static struct err err;
	if (channel == NULL)
		return;
	if (rpc_queue(channel, type, id, parts, n, &err) == 0)
		return;
	log_warn("keeper_channel_broken", log_z("peer", control ? "control" : "egress"), log_err(&err));
	if (control)
		keeper->control_broken = true;
	else
		keeper->egress_broken = true;
}

void keeper_push_changed(struct keeper *keeper, const char *reason)
{
	struct keeper_state state;
	keeper_state_now(keeper, &state);
	AUTO_BUF body = BUF_INIT(4 * KIB);
	keeper_state_put(&body, &state);
	wire_put_str(&body, str_from(reason));
	struct str part = buf_str(&body);
	send_to(keeper, true, KEEPER_CHANGED, 0, &part, 1);
}

void keeper_push_note(struct keeper *keeper, const struct keeper_note *note)
{
	AUTO_BUF body = BUF_INIT(32 * KIB);
	wire_put_str(&body, str_from(note->what));
	wire_put_str(&body, note->path);
	wire_put_u64(&body, note->use);
	wire_put_str(&body, note->host);
	wire_put_str(&body, note->detail);
	struct str part = buf_str(&body);
	send_to(keeper, true, KEEPER_NOTED, 0, &part, 1);
}

void keeper_tell_egress(struct keeper *keeper, uint16_t type, uint32_t id, const struct buf *head,
			const struct str *secret)
{
	static const char ok = 1;
	AUTO_BUF length = BUF_INIT(8);
	struct str parts[] = {str_of(&ok, 1), buf_str(head), STR_EMPTY, STR_EMPTY};
	if (secret != NULL) {
		wire_put_u32(&length, (uint32_t)secret->n);
		parts[2] = buf_str(&length);
		parts[3] = *secret;
	}
	send_to(keeper, false, type, id, parts, ARRAY_LEN(parts));
}

void keeper_refuse_egress(struct keeper *keeper, uint16_t type, uint32_t id, const struct err *err)
{
	AUTO_BUF body = BUF_INIT(16 * KIB);
	wire_put_u8(&body, 0);
	wire_put_err(&body, err);
	struct str part = buf_str(&body);
	send_to(keeper, false, type, id, &part, 1);
}

void keeper_lock(struct keeper *keeper, const char *reason)
{
	keeper->closing_until_ns = 0;
	if (!vault_is_unlocked(keeper->vault))
		return;
	keeper_end_uses(keeper);
	keeper_end_tickets(keeper);
	vault_lock(keeper->vault);
	log_info("vault_locked", log_z("reason", reason));
	keeper_push_changed(keeper, reason);
	static const char ok = 1;
	const struct str part = str_of(&ok, 1);
	if (keeper->closing_id != 0)
		send_to(keeper, true, KEEPER_ANSWER, keeper->closing_id, &part, 1);
	keeper->closing_id = 0;
}

static void drop_control(struct keeper *keeper)
{
	rpc_channel_free(TAKE(keeper->control));
	keeper->control_broken = false;
	keeper->closing_id = 0;
	keeper_end_uses(keeper);
	keeper_end_tickets(keeper);
}

static void drop_egress(struct keeper *keeper)
{
	rpc_channel_free(TAKE(keeper->egress));
	keeper->egress_broken = false;
	keeper_end_uses(keeper);
	keeper_lose_refreshes(keeper);
}

void keeper_attach_control(struct keeper *keeper, int fd)
{
	if (keeper->control != NULL)
		drop_control(keeper);
	keeper->control = rpc_channel_new(fd, keeper_control_rules);
	rpc_set_sensitive(keeper->control, true);
}

/* Without an old one there is nothing to forget: control may have permitted uses for the new one already. */
void keeper_attach_egress(struct keeper *keeper, int fd)
{
	if (keeper->egress != NULL)
		drop_egress(keeper);
	keeper->egress = rpc_channel_new(fd, keeper_egress_rules);
	rpc_set_sensitive(keeper->egress, true);
}

static int serve_control(struct keeper *keeper, const struct rpc_frame *frame, struct err *err)
{
	AUTO_BUF body = BUF_INIT(KEEPER_ANSWER_MAX);
	wire_put_u8(&body, 1);
	int rc = keeper_answer_control(keeper, frame, &body, err);
	if (rc == 0)
		rc = buf_check(&body, "the keeper's answer", err);
	if (rc < 0 && err->class == ERR_PROTOCOL)
		return -1;
	if (rc == 1 || frame->type == KEEPER_END_USE)
		return 0;
	if (rc < 0) {
		buf_clear(&body);
		wire_put_u8(&body, 0);
		wire_put_err(&body, err);
	}
	struct str part = buf_str(&body);
	send_to(keeper, true, KEEPER_ANSWER, frame->id, &part, 1);
	return 0;
}

static void read_channel(struct keeper *keeper, bool control)
{
	bool *broken = control ? &keeper->control_broken : &keeper->egress_broken;
	for (int i = 0; i < FRAMES_A_TURN; i++) {
		struct rpc_channel *channel = control ? keeper->control : keeper->egress;
		if (channel == NULL || *broken || rpc_queued(channel) > QUEUED_MAX)
			return;
		struct rpc_frame frame;
		err_clear(&keeper->err);
		int got = rpc_pump(channel, &frame, &keeper->err);
		if (got == 2)
			return;
		if (got == 1)
			got = (control ? serve_control : keeper_serve_egress)(keeper, &frame, &keeper->err) == 0 ? 1
														 : -1;
		if (got < 0)
			log_error("keeper_peer_refused", log_z("peer", control ? "control" : "egress"),
				  log_err(&keeper->err));
		*broken = *broken || got != 1;
	}
}

/* ------------------------------------------------------------------------------------------------------------- parent */

static int take_peer(void *user, enum supervise_role role, int fd, struct err *err)
{
	(void)err;
	(role == SUPERVISE_CONTROL ? keeper_attach_control : keeper_attach_egress)(user, fd);
	return 0;
}

static void take_stop(void *user, uint64_t ms)
{
	struct keeper *keeper = user;
	keeper->stop_at_ns = keeper_now(keeper) + 1 + ms * TIME_MILLISECOND;
}

static int take_lock(void *user, struct supervise_message *message, struct err *err)
{
	if (message->frame.type != SUPERVISE_LOCK)
		return supervised_refuse(message, err);
	keeper_lock(user, "signal");
	return 0;
}

static int read_parent(struct keeper *keeper, struct err *err)
{
	static struct supervise_message message;
	int got = supervise_recv(keeper->parent_fd, &message, err);
	if (got == 0)
		keeper->parent_left = true;
	if (got != 1)
		return got >= 0 ? 0 : -1;
	const struct supervised_orders orders = {
		.neighbours = 1U << SUPERVISE_CONTROL | 1U << SUPERVISE_EGRESS,
		.peer = take_peer,
		.stop = take_stop,
		.other = take_lock,
		.user = keeper,
	};
	int rc = supervised_obey(keeper->parent_fd, &message, &orders, err);
	supervise_close_fds(&message);
	return rc;
}

/* -------------------------------------------------------------------------------------------------------------- turns */

static void on_signal(int signal)
{
	(void)signal;
	told_to_lock = 1;
}

void keeper_watch_signal(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	sigaction(SIGUSR1, &action, NULL);
	/* Let through by ppoll() alone, so that none falls between looking at the flag and waiting. */
	sigset_t blocked;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
}

/* Before anything is served: what time and signals want. */
static void look_around(struct keeper *keeper)
{
	uint64_t suspended = suspended_now(keeper);
	if (suspended >= keeper->suspended_ns + KEEPER_SUSPEND_NS)
		keeper_lock(keeper, "suspend");
	keeper->suspended_ns = suspended;
	if (told_to_lock != 0) {
		told_to_lock = 0;
		keeper_lock(keeper, "signal");
	}
	keeper_expire_refreshes(keeper);
	if (keeper->closing_until_ns > 0 &&
	    (map_count(keeper->refreshes) == 0 || keeper_now(keeper) >= keeper->closing_until_ns))
		keeper_lock(keeper, "locked");
	bool idle = keeper->auto_lock_ns > 0 && map_count(keeper->refreshes) == 0 &&
		    keeper_now(keeper) - keeper->active_ns >= keeper->auto_lock_ns;
	if (idle)
		keeper_lock(keeper, "idle");
}

/* Milliseconds until look_around() has something to do; -1 = never. */
static int until_next(const struct keeper *keeper)
{
	uint64_t now = keeper_now(keeper), next = UINT64_MAX, look_ns = KEEPER_LOOK_MS * TIME_MILLISECOND;
	bool unlocked = vault_is_unlocked(keeper->vault), refreshing = map_count(keeper->refreshes) > 0;
	if (unlocked || refreshing)
		next = now + look_ns;
	if (unlocked && keeper->auto_lock_ns > 0) {
		uint64_t idle = MIN(now - keeper->active_ns, keeper->auto_lock_ns);
		next = now + MIN(look_ns, keeper->auto_lock_ns - idle);
	}
	if (keeper->closing_until_ns > 0 && !refreshing)
		next = now;
	if (keeper->stop_at_ns > 0)
		next = MIN(next, keeper->stop_at_ns);
	return time_ms_until(next, now);
}

static struct pollfd poll_of(const struct rpc_channel *channel)
{
	struct pollfd fd = {.fd = -1};
	if (channel == NULL)
		return fd;
	fd.fd = rpc_fd(channel);
	if (rpc_queued(channel) <= QUEUED_MAX)
		fd.events |= POLLIN;
	if (rpc_queued(channel) > 0)
		fd.events |= POLLOUT;
	return fd;
}

static bool has_frame(const struct rpc_channel *channel)
{
	return channel != NULL && rpc_queued(channel) <= QUEUED_MAX && rpc_has_frame(channel);
}

static int wait_for(struct keeper *keeper, struct pollfd fds[3], int wait_ms, struct err *err)
{
	fds[0] = (struct pollfd){.fd = keeper->parent_fd, .events = POLLIN};
	fds[1] = poll_of(keeper->control);
	fds[2] = poll_of(keeper->egress);
	int next = until_next(keeper);
	if (next >= 0 && (wait_ms < 0 || next < wait_ms))
		wait_ms = next;
	if (has_frame(keeper->control) || has_frame(keeper->egress) || told_to_lock != 0)
		wait_ms = 0;
	struct timespec time = {wait_ms / 1000, wait_ms % 1000 * (long)TIME_MILLISECOND};
	sigset_t mask;
	sigprocmask(SIG_BLOCK, NULL, &mask);
	sigdelset(&mask, SIGUSR1);
	if (ppoll(fds, 3, wait_ms < 0 ? NULL : &time, &mask) >= 0 || errno == EINTR)
		return 0;
	return fail_errno(err, "the keeper cannot wait");
}

static void flush(struct keeper *keeper, bool control, const struct pollfd *fd)
{
	struct rpc_channel *channel = control ? keeper->control : keeper->egress;
	if (channel == NULL || (fd->revents & (POLLOUT | POLLERR)) == 0 || rpc_queued(channel) == 0)
		return;
	if (rpc_flush(channel, NULL) == 0)
		return;
	if (control)
		keeper->control_broken = true;
	else
		keeper->egress_broken = true;
}

int keeper_turn(struct keeper *keeper, int wait_ms, struct err *err)
{
	struct pollfd fds[3];
	if (wait_for(keeper, fds, wait_ms, err) != 0)
		return -1;
	look_around(keeper);
	flush(keeper, true, &fds[1]);
	flush(keeper, false, &fds[2]);
	/* An egress that ended takes its uses with it before control permits some for the next. */
	if ((fds[0].revents & ~POLLOUT) != 0 && read_parent(keeper, err) != 0)
		return -1;
	read_channel(keeper, false);
	if (keeper->egress_broken)
		drop_egress(keeper);
	read_channel(keeper, true);
	if (keeper->control_broken)
		drop_control(keeper);
	if (keeper->parent_left)
		return 0;
	if (keeper->stop_at_ns > 0 && (map_count(keeper->refreshes) == 0 || keeper_now(keeper) >= keeper->stop_at_ns))
		return 0;
	return 1;
}

int keeper_run(struct keeper *keeper, struct err *err)
{
	int rc;
	do
		rc = keeper_turn(keeper, -1, err);
	while (rc == 1);
	return rc;
}
