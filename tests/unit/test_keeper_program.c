/* aileron-keeper itself, confined, with the test in the place of its parent, of control and of egress. */
#include "base/log.h"
#include "confine/policies.h"
#include "confine/sanitized.h"
#include "keeper_client.h"
#include "os/child.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <cmocka.h>

#define PASSPHRASE "correct horse battery staple"

struct program {
	struct rig rig; /* without a keeper of its own: only its halves of the channels */
	struct child child;
	int parent;
};

static int begin_child(struct program *program)
{
	int link[2];
	char pid[24], namespaces[24];
	struct child *child = &program->child;
	AUTO_FD folder = open(program->rig.folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(supervise_pair(link, NULL), 0);
	*child = CHILD_INIT;
	child->path = BINARY_DIR "/aileron-keeper";
	child->namespaces = confine_given(&confine_keeper);
	snprintf(pid, sizeof pid, "%d", (int)getpid());
	snprintf(namespaces, sizeof namespaces, "%llu", (unsigned long long)confine_keeper.namespaces);
	const char *const argv[] = {"aileron-keeper", pid, namespaces, NULL};
	child->argv = argv;
	child->fds[0] = (struct child_fd){STDERR_FILENO, STDERR_FILENO};
	child->fds[1] = (struct child_fd){link[1], SUPERVISE_FD};
	child->fds[2] = (struct child_fd){folder, KEEPER_FD_FOLDER};
	child->n_fds = 3;
	int rc = child_start(child, &program->rig.err);
	child->argv = NULL;
	close(link[1]);
	program->parent = link[0];
	return rc;
}

static void expect(struct program *program, uint32_t type, struct supervise_message *ret)
{
	static struct err err;
	if (supervise_recv(program->parent, ret, &err) != 1)
		fail_msg("message %u did not come: %s", type, err.message);
	if (ret->frame.type != type)
		fail_msg("message %u came where %u was due", ret->frame.type, type);
}

static void give_channel(struct program *program, enum supervise_role role, struct rpc_channel **ret,
			 const struct rpc_rule *rules)
{
	int pair[2];
	assert_int_equal(rig_pair(pair), 0);
	const unsigned char body = (unsigned char)role;
	assert_int_equal(supervise_send(program->parent, SUPERVISE_PEER, 0, str_of(&body, 1), &pair[0], 1, NULL), 0);
	close(pair[0]);
	rpc_channel_free(*ret);
	*ret = rpc_channel_new(pair[1], rules);
}

static void begin(struct program *program)
{
	static struct supervise_message message;
	struct confine_report report;
	static struct err err;
	if (begin_child(program) != 0)
		fail_msg("%s", program->rig.err.message);
	expect(program, SUPERVISE_PROOF, &message);
	assert_int_equal(confine_report_get(supervise_body(&message), &report, NULL), 0);
	if (confine_judge(&report, "aileron-keeper", S("namespaces,root,landlock"), &err) != 0)
		fail_msg("%s", err.message);
	AUTO_BUF start = BUF_INIT(1024);
	wire_put_u32(&start, 1);
	wire_put_str(&start, S("log_level"));
	wire_put_str(&start, S("error"));
	assert_int_equal(supervise_send(program->parent, SUPERVISE_START, 0, buf_str(&start), NULL, 0, NULL), 0);
	expect(program, SUPERVISE_READY, &message);
	struct wire_reader r = wire_reader(supervise_body(&message));
	memcpy(program->rig.public_key, wire_str(&r).p, SEALED_PUBLIC);
	give_channel(program, SUPERVISE_CONTROL, &program->rig.control, keeper_for_control_rules);
	give_channel(program, SUPERVISE_EGRESS, &program->rig.egress, keeper_for_egress_rules);
}

static void end(struct program *program)
{
	close(program->parent);
	assert_int_equal(child_wait(&program->child, 10000, NULL), 1);
	assert_int_equal(program->child.exit_status, 0);
	child_release(&program->child);
	rpc_channel_free(TAKE(program->rig.control));
	rpc_channel_free(TAKE(program->rig.egress));
}

/* The next answer; pushes are taken on the way. Waits. */
static struct rpc_frame hear(struct rig *rig, struct rpc_channel *channel)
{
	struct rpc_frame frame;
	for (;;) {
		if (rpc_recv(channel, &frame, &rig->err) != 1)
			fail_msg("the keeper ended: %s", rig->err.message);
		if (channel != rig->control || frame.id != 0)
			return frame;
		rig_take_push(rig, &frame);
	}
}

static struct str ask(struct rig *rig, enum keeper_message type, struct str body)
{
	assert_int_equal(rpc_send(rig->control, (uint16_t)type, 1, &body, 1, NULL), 0);
	struct rpc_frame frame = hear(rig, rig->control);
	struct wire_reader r = wire_reader(frame.body);
	if (!wire_bool(&r)) {
		wire_get_err(&r, &rig->err);
		fail_msg("%s", rig->err.message);
	}
	return arena_str(rig->arena, r.rest);
}

static void sealed(struct rig *rig, struct keeper_sealed m, const struct sealed_field *fields, size_t n)
{
	struct str nonce = ask(rig, KEEPER_NONCE, STR_EMPTY);
	AUTO_BUF terms = BUF_INIT(SEALED_TERMS_MAX);
	sealed_terms_put(&terms, false, STR_EMPTY);
	const struct sealed_context context = {.operation = str_from(keeper_operation_name(m.operation)),
					       .path = m.path,
					       .metadata =
						       m.operation == KEEPER_OP_UNLOCK ? buf_str(&terms) : m.metadata};
	AUTO_BUF message = BUF_INIT(SEALED_OVERHEAD + SEALED_FIELDS_MAX);
	assert_int_equal(
		sealed_make(&message, rig->public_key, (const unsigned char *)nonce.p, &context, fields, n, NULL), 0);
	m.sealed = buf_str(&message);
	AUTO_BUF body = BUF_INIT(1 << 20);
	keeper_sealed_put(&body, &m);
	ask(rig, KEEPER_SEALED, buf_str(&body));
}

static void with_passphrase(struct rig *rig, enum keeper_operation operation)
{
	const struct sealed_field field = {SEALED_PASSPHRASE, S(PASSPHRASE)};
	sealed(rig, (struct keeper_sealed){.operation = operation}, &field, 1);
}

static enum keeper_lock_state lock_state(struct rig *rig)
{
	struct wire_reader r = wire_reader(ask(rig, KEEPER_STATE, STR_EMPTY));
	struct keeper_state state;
	keeper_state_get(&r, &state);
	return state.state;
}

static void await_lock(struct rig *rig, const char *reason)
{
	struct rpc_frame frame;
	while (strcmp(rig->reason, reason) != 0) {
		assert_int_equal(rpc_recv(rig->control, &frame, NULL), 1);
		assert_int_equal(frame.id, 0);
		rig_take_push(rig, &frame);
	}
	assert_int_equal(rig->state.state, KEEPER_LOCKED);
}

static void use_binding(struct rig *rig)
{
	const struct rig_binding binding = {.path = "api_key/svc/work",
					    .kind = "api_key",
					    .value = "sk-example-0001",
					    .hosts = {"api.example.com:443"}};
	const struct sealed_field fields[] = {{SEALED_VALUE, str_from(binding.value)},
					      {SEALED_CONSENT, rig_consent(rig, &binding)}};
	struct keeper_sealed m = {
		.operation = KEEPER_OP_PUT, .path = str_from(binding.path), .metadata = rig_metadata(rig, &binding)};
	sealed(rig, m, fields, 2);
	struct str host = S("api.example.com:443");
	const struct keeper_permit permit = {.use = 1,
					     .path = m.path,
					     .connector = S("github.com/acme/svc"),
					     .kind = S("api_key"),
					     .hosts = &host,
					     .n_hosts = 1,
					     .deadline_ns = clock_monotonic_ns(NULL) + 60 * TIME_SECOND};
	AUTO_BUF body = BUF_INIT(4096);
	keeper_permit_put(&body, &permit);
	ask(rig, KEEPER_PERMIT, buf_str(&body));
	rig_claim(rig, 9, 1, "api.example.com:443");
	struct rpc_frame frame = hear(rig, rig->egress);
	assert_int_equal(frame.type, KEEPER_RELEASED);
	assert_true(str_ends(frame.body, str_from(binding.value)));
}

static void it_works_behind_its_walls(void **state)
{
	(void)state;
	assert_int_equal(access(BINARY_DIR "/aileron-keeper", X_OK), 0);
	static struct program program;
	struct rig *rig = &program.rig;
	*rig = (struct rig){.folder = "/tmp/aileron-keeper-XXXXXX", .parent = -1, .link = -1, .arena = arena_new()};
	assert_non_null(mkdtemp(rig->folder));
	begin(&program);
	assert_int_equal(lock_state(rig), KEEPER_MISSING);
	with_passphrase(rig, KEEPER_OP_INIT);
	use_binding(rig);
	/* The first process of a pid namespace is sent what it handles. */
	child_kill(&program.child, SIGUSR1);
	await_lock(rig, "signal");
	with_passphrase(rig, KEEPER_OP_UNLOCK);
	assert_int_equal(lock_state(rig), KEEPER_UNLOCKED);
	/* Not even its parent looks into it, unless it is root. */
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/mem", (int)program.child.pid);
	if (geteuid() != 0)
		assert_int_equal(open(path, O_RDONLY | O_CLOEXEC), -1);
	end(&program);

	/* What was there is there again, and locked. */
	rig->reason[0] = '\0';
	begin(&program);
	assert_int_equal(lock_state(rig), KEEPER_LOCKED);
	with_passphrase(rig, KEEPER_OP_UNLOCK);
	AUTO_BUF body = BUF_INIT(8);
	wire_put_u64(&body, 1000);
	assert_int_equal(supervise_send(program.parent, SUPERVISE_STOP, 0, buf_str(&body), NULL, 0, NULL), 0);
	end(&program);
	rig_stop(rig);
}

int main(void)
{
	log_set_level(LOG_LEVEL_NONE);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_works_behind_its_walls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
