/*
 * aileron-control, confined as always, with the test in the place of its parent, of the keeper, and of whoever asks.
 * Each answer that succeeds is held against the schema of its operation.
 */
#include "api/operation.h"
#include "audit/audit.h"
#include "base/limits.h"
#include "base/time.h"
#include "confine/policies.h"
#include "control/control.h"
#include "crypto/sign.h"
#include "os/child.h"
#include "os/file.h"
#include "supervise/supervise.h"
#include "text/wire.h"
#include "vault/keeper_protocol.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <cmocka.h>
#include "skips.h"

#define TOKEN    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define INSTANCE "0123456789abcdef0123456789abcdef"
#define BEARER   "Authorization: Bearer " TOKEN "\r\n"
#define SEED     "an Ed25519 seed of 32 characters"

struct stage {
	char folder[64];
	struct child child;
	int link, tcp; /* the parent's end; the listener */
	uint16_t port;
	uint64_t started_at;
	struct err failed; /* of FAILED */
	bool ready;

	/* the keeper */
	pthread_t keeper;
	int keeper_fd; /* ours; shut down ends the thread */
	_Atomic int lock_state;
	_Atomic uint64_t throttled_ms;
	_Atomic bool silent;          /* asks are taken and not answered */
	_Atomic bool older_on_record; /* when it was asked to accept an older file */
};

/* ------------------------------------------------------------------------------------------------------- the keeper */

static void answer(struct rpc_channel *channel, uint32_t id, const struct buf *body, const struct err *err)
{
	AUTO_BUF out = BUF_INIT(1 * MIB);
	wire_put_u8(&out, err == NULL);
	if (err != NULL)
		wire_put_err(&out, err);
	else
		buf_add_str(&out, buf_str(body));
	struct str part = buf_str(&out);
	(void)!rpc_send(channel, KEEPER_ANSWER, id, &part, 1, NULL);
}

static void put_state(struct stage *stage, struct buf *body)
{
	keeper_state_put(body, &(struct keeper_state){.state = (enum keeper_lock_state)stage->lock_state,
						      .version = 2,
						      .vault_id = S("00ff"),
						      .generation = 7,
						      .entries = 1,
						      .members = 1,
						      .throttled_ms = stage->throttled_ms,
						      .device_key_id = S("0011223344556677")});
}

static void sign_head(struct wire_reader *r, struct buf *body)
{
	struct secret *seed = secret_from(S(SEED), NULL);
	struct sign_key *key = sign_key_new(seed, NULL);
	unsigned char signature[ED25519_SIGNATURE_SIZE], public_key[ED25519_PUBLIC_SIZE];
	sign_message(key, wire_str(r), signature);
	sign_key_public(key, public_key);
	buf_add(body, signature, sizeof signature);
	buf_add(body, public_key, sizeof public_key);
	sign_key_free(key);
	secret_free(seed);
}

static bool is_recorded(struct stage *stage, const char *type, const char *piece);

/* What is "sealed" is what the keeper is to do. */
static void on_sealed(struct stage *stage, struct str request, struct buf *body, struct err *err)
{
	struct keeper_sealed m;
	if (keeper_sealed_get(request, &m, err) != 0)
		return;
	if ((m.flags & KEEPER_FLAG_ACCEPT_ROLLBACK) != 0)
		stage->older_on_record = is_recorded(stage, "vault.rollback_asked", "\"aileron.vault.generation\":7");
	if (str_eq(m.sealed, S("wrong")))
		(fail)(err, ERR_WRONG_PASSPHRASE, "wrong passphrase");
	if (str_eq(m.sealed, S("wait"))) {
		(fail)(err, ERR_THROTTLED, "too many wrong passphrases");
		err_detail_int(err, "retry_after_ms", 1500);
	}
	if (err->class != ERR_NONE)
		return;
	if (m.operation == KEEPER_OP_UNLOCK) {
		stage->lock_state = KEEPER_UNLOCKED;
		wire_put_u8(body, 2);
		wire_put_str(body, S(""));
		wire_put_str(body, S("first"));
		wire_put_bool(body, false);
	} else if (m.operation == KEEPER_OP_PUT) {
		/* What was left out is filled in, as whoever sealed the value did. */
		if (!str_eq(m.metadata, S("{\"environment\":\"\",\"labels\":{\"a\":\"b\"},\"type\":\"text\"}")))
			(fail)(err, ERR_SEALED_REFUSED, "the metadata is not what was sealed");
		wire_put_u64(body, 8);
	}
}

static void put_entry(struct buf *body)
{
	keeper_entry_put(
		body, &(struct keeper_entry){
			      .path = S("secret/x"), .type = S("text"), .labels = S("{\"a\":\"b\"}"), .generation = 5});
}

static void on_request(struct stage *stage, struct rpc_channel *channel, const struct rpc_frame *frame)
{
	AUTO_BUF body = BUF_INIT(1 * MIB);
	struct wire_reader r = wire_reader(frame->body);
	struct err err;
	err_clear(&err);
	switch (frame->type) {
	case KEEPER_STATE:
		put_state(stage, &body);
		break;
	case KEEPER_NONCE:
		buf_add(&body, "0123456789abcdefKEYIDKEY0123456789abcdef0123456789abcdef", 56);
		break;
	case KEEPER_SEALED:
		on_sealed(stage, frame->body, &body, &err);
		break;
	case KEEPER_LOCK:
		stage->lock_state = KEEPER_LOCKED;
		break;
	case KEEPER_LIST:
		wire_put_bool(&body, stage->lock_state == KEEPER_UNLOCKED);
		wire_put_u32(&body, 1);
		put_entry(&body);
		break;
	case KEEPER_GET:
		wire_put_bool(&body, false);
		put_entry(&body);
		break;
	case KEEPER_DELETE:
		(fail)(&err, ERR_VAULT_NOT_FOUND, "there is none");
		break;
	case KEEPER_SIGN_HEAD:
		sign_head(&r, &body);
		break;
	case KEEPER_MEMBERS:
		wire_put_u32(&body, 1);
		wire_put_str(&body, S("first"));
		wire_put_str(&body, S("passphrase"));
		wire_put_u64(&body, 1);
		break;
	case KEEPER_BACKUPS:
		wire_put_u32(&body, 1);
		wire_put_str(&body, S("vault.bak"));
		wire_put_u64(&body, 100);
		wire_put_u64(&body, 1);
		wire_put_str(&body, S("1"));
		break;
	case KEEPER_TUNE:
		for (uint32_t i = 1; i <= 4; i++)
			wire_put_u32(&body, i);
		break;
	default:
		break;
	}
	if (frame->id != 0 && !stage->silent)
		answer(channel, frame->id, &body, err.class == ERR_NONE ? NULL : &err);
}

static void *be_keeper(void *user)
{
	struct stage *stage = user;
	AUTO(rpc_channel) *channel = rpc_channel_new(dup(stage->keeper_fd), keeper_control_rules);
	struct rpc_frame frame;
	while (rpc_recv(channel, &frame, NULL) == 1)
		on_request(stage, channel, &frame);
	return NULL;
}

static void push_changed(struct stage *stage, const char *reason)
{
	AUTO_BUF body = BUF_INIT(4 * KIB);
	put_state(stage, &body);
	wire_put_str(&body, str_from(reason));
	AUTO(rpc_channel) *channel = rpc_channel_new(dup(stage->keeper_fd), keeper_control_rules);
	struct str part = buf_str(&body);
	assert_int_equal(rpc_send(channel, KEEPER_CHANGED, 0, &part, 1, NULL), 0);
}

static void push_noted(struct stage *stage, const char *what, uint64_t use)
{
	AUTO_BUF body = BUF_INIT(4 * KIB);
	wire_put_str(&body, str_from(what));
	wire_put_str(&body, S("api_key/a/b"));
	wire_put_u64(&body, use);
	wire_put_str(&body, S("example.com:443"));
	wire_put_str(&body, S("github.com/a/b"));
	AUTO(rpc_channel) *channel = rpc_channel_new(dup(stage->keeper_fd), keeper_control_rules);
	struct str part = buf_str(&body);
	assert_int_equal(rpc_send(channel, KEEPER_NOTED, 0, &part, 1, NULL), 0);
}

/* ------------------------------------------------------------------------------------------------------- the parent */

static void tell(struct stage *stage, uint32_t type, const struct buf *body, int fd)
{
	assert_int_equal(
		supervise_send(stage->link, type, 0, body != NULL ? buf_str(body) : STR_EMPTY, &fd, fd >= 0, NULL), 0);
}

static void pass_peer(struct stage *stage, enum supervise_role role, int fd)
{
	AUTO_BUF body = BUF_INIT(8);
	wire_put_u8(&body, (uint8_t)role);
	tell(stage, SUPERVISE_PEER, &body, fd);
	close(fd);
}

static void give_keeper(struct stage *stage)
{
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	stage->keeper_fd = ends[1];
	assert_int_equal(pthread_create(&stage->keeper, NULL, be_keeper, stage), 0);
	pass_peer(stage, SUPERVISE_KEEPER, ends[0]);
}

static void take_keeper(struct stage *stage)
{
	if (stage->keeper_fd < 0)
		return;
	shutdown(stage->keeper_fd, SHUT_RDWR);
	pthread_join(stage->keeper, NULL);
	close(stage->keeper_fd);
	stage->keeper_fd = -1;
}

static void listen_tcp(struct stage *stage)
{
	stage->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof at;
	assert_int_equal(bind(stage->tcp, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(stage->tcp, 64), 0);
	assert_int_equal(getsockname(stage->tcp, (struct sockaddr *)&at, &n), 0);
	stage->port = ntohs(at.sin_port);
}

/* The child is told which namespaces it has; where the kernel refuses them it is started anew without. */
static void start_process(struct stage *stage, int link)
{
	AUTO_FD null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	AUTO_FD folder = open(stage->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t wanted = confine_control.namespaces;
	for (int tries = 0; tries < 2; tries++) {
		char pid[16], namespaces[24];
		snprintf(pid, sizeof pid, "%d", (int)getpid());
		snprintf(namespaces, sizeof namespaces, "%llu", (unsigned long long)wanted);
		const char *argv[] = {"aileron-control", pid, namespaces, NULL};
		stage->child = CHILD_INIT;
		stage->child.path = BINARY_DIR "/aileron-control";
		stage->child.argv = argv;
		stage->child.namespaces = wanted != 0 ? confine_given(&confine_control) : 0;
		const struct child_fd fds[] = {{null_fd, 0},
					       {null_fd, 1},
					       {STDERR_FILENO, 2},
					       {link, 3},
					       {stage->tcp, CONTROL_FD_TCP},
					       {null_fd, CONTROL_FD_UNIX},
					       {folder, CONTROL_FD_FOLDER}};
		memcpy(stage->child.fds, fds, sizeof fds);
		stage->child.n_fds = ARRAY_LEN(fds);
		assert_int_equal(child_start(&stage->child, NULL), 0);
		stage->child.argv = NULL;
		if (stage->child.ret_namespaces == stage->child.namespaces)
			return;
		child_release(&stage->child);
		wanted = 0;
	}
}

static void send_start(struct stage *stage)
{
	char listen_at[32], started[24];
	snprintf(listen_at, sizeof listen_at, "127.0.0.1:%d", stage->port);
	snprintf(started, sizeof started, "%llu", (unsigned long long)stage->started_at);
	const struct {
		const char *key;
		struct str value;
	} settings[] = {
		{"instance_id", S(INSTANCE)},
		{"log_level", S("error")},
		{"token", S(TOKEN)},
		{"caveat_key", S("0123456789abcdef0123456789abcdef")},
		{"listen", str_from(listen_at)},
		{"state_dir", S("/home/u/elsewhere")},
		{"started_at", str_from(started)},
	};
	AUTO_BUF body = BUF_INIT(SUPERVISE_BODY);
	wire_put_u32(&body, ARRAY_LEN(settings));
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		wire_put_str(&body, str_from(settings[i].key));
		wire_put_str(&body, settings[i].value);
	}
	tell(stage, SUPERVISE_START, &body, -1);
}

static void read_ready(struct stage *stage)
{
	struct supervise_message message;
	assert_int_equal(supervise_recv(stage->link, &message, NULL), 1);
	stage->ready = message.frame.type == SUPERVISE_READY;
	if (stage->ready)
		return;
	assert_int_equal(message.frame.type, SUPERVISE_FAILED);
	struct wire_reader r = wire_reader(supervise_body(&message));
	wire_get_err(&r, &stage->failed);
}

static void start(struct stage *stage)
{
	int ends[2];
	assert_int_equal(supervise_pair(ends, NULL), 0);
	stage->link = ends[0];
	stage->keeper_fd = -1;
	stage->ready = false;
	listen_tcp(stage);
	start_process(stage, ends[1]);
	close(ends[1]);
	struct supervise_message message;
	assert_int_equal(supervise_recv(stage->link, &message, NULL), 1);
	assert_int_equal(message.frame.type, SUPERVISE_PROOF);
	send_start(stage);
	read_ready(stage);
	if (stage->ready)
		give_keeper(stage);
}

static int wait_end(struct stage *stage)
{
	assert_int_equal(child_wait(&stage->child, 20000, NULL), 1);
	int status = stage->child.exit_status;
	child_release(&stage->child);
	take_keeper(stage);
	close(stage->tcp);
	if (stage->link >= 0)
		close(stage->link);
	return status;
}

static int stop(struct stage *stage)
{
	AUTO_BUF body = BUF_INIT(8);
	wire_put_u64(&body, 5000);
	tell(stage, SUPERVISE_STOP, &body, -1);
	return wait_end(stage);
}

static void make_folder(struct stage *stage)
{
	*stage = (struct stage){.keeper_fd = -1, .lock_state = KEEPER_LOCKED, .started_at = clock_wall_ns(NULL)};
	snprintf(stage->folder, sizeof stage->folder, "/tmp/aileron-control-XXXXXX");
	assert_non_null(mkdtemp(stage->folder));
	char path[96];
	snprintf(path, sizeof path, "%s/compiled", stage->folder);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void remove_folder(struct stage *stage)
{
	static const char *const names[] = {"aileron.db", "aileron.db-wal", "aileron.db-shm"};
	assert_int_equal(chdir(stage->folder), 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		unlink(names[i]);
	rmdir("compiled");
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(stage->folder), 0);
}

static void set_up(struct stage *stage)
{
	make_folder(stage);
	start(stage);
	assert_true(stage->ready);
}

static void tear_down(struct stage *stage)
{
	assert_int_equal(stop(stage), 0);
	remove_folder(stage);
}

/* ----------------------------------------------------------------------------------------------------- whoever asks */

struct reply {
	struct buf bytes;
	unsigned status;
	struct str head, body;
	struct json *json; /* NULL when it is none */
};

static void reply_release(struct reply *reply)
{
	json_free(reply->json);
	buf_release(&reply->bytes);
}
#define AUTO_REPLY __attribute__((cleanup(reply_release))) struct reply

static int connect_to(struct stage *stage)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(stage->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

static void send_request(struct stage *stage, int fd, const char *line, const char *headers, const char *body)
{
	AUTO_BUF out = BUF_INIT(1 * MIB);
	buf_addf(&out, "%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n%s", line, stage->port, headers);
	if (body != NULL)
		buf_addf(&out, "Content-Length: %zu\r\n", strlen(body));
	buf_addf(&out, "\r\n%s", body != NULL ? body : "");
	assert_int_equal(file_write_fd(fd, "request", buf_str(&out), NULL), 0);
}

static void hold_against_schema(const char *line, const struct reply *reply)
{
	struct str method, target, rest = str_cut(str_from(line), ' ', &method);
	(void)str_cut(rest, '?', &target);
	struct str parameters[API_PATH_PARAMETERS] = {{NULL, 0}};
	bool known;
	const struct operation *operation = operation_find(method, target, parameters, &known);
	if (operation == NULL || operation->result == NULL || reply->status >= 300)
		return;
	struct err err = {0};
	if (api_validate(operation->result, reply->json, &err) != 0)
		fail_msg("%s: %s in %.*s", line, err.message, STR_FMT(reply->body));
}

static struct reply ask(struct stage *stage, const char *line, const char *headers, const char *body)
{
	AUTO_FD fd = connect_to(stage);
	send_request(stage, fd, line, headers, body);
	struct reply reply = {.bytes = BUF_INIT(4 * MIB)};
	struct err err = {0};
	if (file_read_fd(fd, "answer", &reply.bytes, &err) != 0)
		fail_msg("%s", err.message);
	struct str all = buf_str(&reply.bytes);
	size_t end = str_find(all, S("\r\n\r\n"));
	assert_true(end != STR_NPOS && str_starts(all, S("HTTP/1.1 ")));
	uint64_t status = 0;
	assert_true(str_to_u64(str_slice(all, 9, 12), 999, &status));
	reply.status = (unsigned)status;
	reply.head = str_slice(all, 0, end + 2);
	reply.body = str_slice(all, end + 4, all.n);
	reply.json = json_parse(reply.body, JSON_READ_STRICT, NULL);
	hold_against_schema(line, &reply);
	return reply;
}

static struct str text_at(const struct json *value, const char *name)
{
	struct str text = STR_EMPTY;
	(void)json_get_str(json_member(value, str_from(name)), &text);
	return text;
}

static void assert_text(const struct json *value, const char *name, const char *expected)
{
	struct str text = text_at(value, name);
	if (!str_eq(text, str_from(expected)))
		fail_msg("'%s' is '%.*s' and not '%s'", name, STR_FMT(text), expected);
}

static void assert_refused(struct stage *stage, const char *line, const char *headers, const char *body,
			   unsigned status, const char *code)
{
	AUTO_REPLY reply = ask(stage, line, headers, body);
	const struct json *error = json_member(reply.json, S("error"));
	if (reply.status != status || !str_eq(text_at(error, "code"), str_from(code)))
		fail_msg("%s: %u %.*s", line, reply.status, STR_FMT(reply.body));
	assert_int_equal(text_at(error, "request_id").n, 16);
	assert_true(text_at(error, "message").n > 0);
	assert_true(str_find(reply.head, S("X-Aileron-Api: " STR_DIGITS(API_REVISION) "\r\n")) != STR_NPOS);
}

/* Whether the record has an event of that type whose text holds `piece`. */
static bool is_recorded(struct stage *stage, const char *type, const char *piece)
{
	char line[128];
	snprintf(line, sizeof line, "GET /v1/audit?limit=1000&type=%s", type);
	AUTO_REPLY reply = ask(stage, line, BEARER, NULL);
	assert_int_equal(reply.status, 200);
	return json_length(json_member(reply.json, S("events"))) > 0 &&
	       str_find(reply.body, str_from(piece)) != STR_NPOS;
}

static unsigned count_events(struct stage *stage, const char *type)
{
	char line[128];
	snprintf(line, sizeof line, "GET /v1/audit?limit=1000&type=%s", type);
	AUTO_REPLY reply = ask(stage, line, BEARER, NULL);
	assert_int_equal(reply.status, 200);
	return (unsigned)json_length(json_member(reply.json, S("events")));
}

/* What is recorded on the side is there a little later. */
static void await_recorded(struct stage *stage, const char *type, const char *piece)
{
	uint64_t until = clock_monotonic_ns(NULL) + 20 * TIME_SECOND;
	while (!is_recorded(stage, type, piece)) {
		if (clock_monotonic_ns(NULL) > until)
			fail_msg("no %s with %s", type, piece);
	}
}

/* ------------------------------------------------------------------------------------------------------------ tests */

static void health_says_which_daemon_this_is(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	AUTO_REPLY reply = ask(&stage, "GET /v1/health", "X-Aileron-Api: 99\r\n", NULL);
	assert_int_equal(reply.status, 200);
	assert_text(reply.json, "status", "ok");
	assert_text(reply.json, "service", "aileron");
	assert_text(reply.json, "instance_id", INSTANCE);
	assert_true(str_find(reply.head, S("X-Aileron-Api: " STR_DIGITS(API_REVISION) "\r\n")) != STR_NPOS);
	AUTO_REPLY openapi = ask(&stage, "GET /openapi.json", "", NULL);
	assert_text(openapi.json, "openapi", "3.1.0");
	tear_down(&stage);
}

static void whoever_asks_wrongly_is_told_what_is_wrong(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	assert_refused(&stage, "GET /v1/nothing", BEARER, NULL, 404, "not_found");
	assert_refused(&stage, "GET /v1/status", "", NULL, 401, "unauthorized");
	assert_refused(&stage, "GET /v1/status", "Authorization: Bearer nonsense\r\n", NULL, 401, "unauthorized");
	assert_refused(&stage, "GET /v1/status", "Cookie: aileron_daemon_token=" TOKEN "\r\n", NULL, 401,
		       "unauthorized");
	assert_refused(&stage, "GET /v1/status?token=" TOKEN, "", NULL, 401, "unauthorized");
	assert_refused(&stage, "GET /v1/status", BEARER "X-Aileron-Api: 1\r\n", NULL, 426, "api_revision");
	assert_refused(&stage, "GET /v1/status?x=1", BEARER, NULL, 400, "invalid_request");
	assert_refused(&stage, "GET /v1/audit?limit=1001", BEARER, NULL, 400, "invalid_request");
	assert_refused(&stage, "GET /v1/audit?limit=1&limit=2", BEARER, NULL, 400, "invalid_request");
	assert_refused(&stage, "GET /v1/audit?since=yesterday", BEARER, NULL, 400, "invalid_request");
	assert_refused(&stage, "POST /v1/sessions", BEARER, "{\"agent\":", 400, "invalid_request");
	assert_refused(&stage, "POST /v1/sessions", BEARER, "[]", 400, "invalid_request");
	assert_refused(&stage, "POST /v1/sessions", BEARER, "{}", 400, "invalid_request");
	assert_refused(&stage, "POST /v1/sessions", BEARER, "{\"agent\":\"a\",\"agent\":\"b\"}", 400,
		       "invalid_request");
	assert_refused(&stage, "POST /v1/sessions", BEARER, "{\"agent\":\"a\",\"more\":1}", 400, "invalid_request");
	assert_refused(&stage, "GET /v1/sessions/unknown", BEARER, NULL, 404, "session_not_found");
	assert_refused(&stage, "GET /v1/audit/audit-unknown", BEARER, NULL, 404, "not_found");
	assert_refused(&stage, "POST /v1/vault/unlock", BEARER, "{\"passphrase\":\"x\"}", 400, "sealed_required");
	assert_refused(&stage, "PUT /v1/vault/entries/secret%2Fx", BEARER,
		       "{\"value\":\"eA==\",\"metadata\":{\"type\":\"text\"}}", 400, "sealed_required");
	assert_refused(&stage, "POST /v1/vault/unlock", BEARER, "{\"sealed\":\"***\"}", 400, "invalid_request");
	assert_refused(&stage, "PUT /v1/vault/entries/..%2Fx", BEARER,
		       "{\"sealed\":\"eA==\",\"metadata\":{\"type\":\"text\"}}", 400, "invalid_request");
	assert_refused(&stage, "PUT /v1/vault/entries/api_key%2Fa%2Fb", BEARER,
		       "{\"sealed\":\"eA==\",\"metadata\":{\"type\":\"text\"}}", 400, "invalid_request");

	AUTO_REPLY reply = ask(&stage, "PATCH /v1/vault/entries/x", BEARER, NULL);
	assert_int_equal(reply.status, 405);
	assert_true(str_find(reply.head, S("Allow: GET, PUT, DELETE\r\n")) != STR_NPOS);
	tear_down(&stage);
}

static void a_session_has_a_life_and_a_token_that_opens_little(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	AUTO_REPLY made = ask(&stage, "POST /v1/sessions", BEARER, "{\"agent\":\"claude\",\"working_dir\":\"/w\"}");
	assert_int_equal(made.status, 201);
	assert_text(made.json, "status", "running");
	char id[32], line[96], bearer[1024];
	snprintf(id, sizeof id, "%.*s", STR_FMT(text_at(made.json, "id")));
	struct str token = text_at(made.json, "caveat_token");
	snprintf(bearer, sizeof bearer, "Authorization: Bearer %.*s\r\n", STR_FMT(token));
	assert_refused(&stage, "GET /v1/vault", bearer, NULL, 403, "forbidden");
	assert_refused(&stage, "POST /v1/person/codes", bearer, NULL, 403, "forbidden");

	AUTO_REPLY list = ask(&stage, "GET /v1/sessions?active_only=true&agent=claude", BEARER, NULL);
	assert_int_equal(json_length(json_member(list.json, S("items"))), 1);
	snprintf(line, sizeof line, "POST /v1/sessions/%s/end", id);
	AUTO_REPLY ended = ask(&stage, line, BEARER, "{\"exit_code\":3}");
	assert_int_equal(ended.status, 200);
	assert_text(ended.json, "status", "ended");
	assert_refused(&stage, line, BEARER, "{}", 409, "conflict");
	assert_refused(&stage, "GET /v1/vault", bearer, NULL, 401, "unauthorized");
	assert_true(is_recorded(&stage, "session.started", id));
	assert_true(is_recorded(&stage, "session.ended", id));
	tear_down(&stage);
}

static void a_browser_gets_in_by_a_code_from_our_own_page(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	char body[128], origin[64], bearer[128], bad_origin[64];
	snprintf(origin, sizeof origin, "Origin: http://127.0.0.1:%d\r\n", stage.port);
	snprintf(bad_origin, sizeof bad_origin, "Origin: http://127.0.0.1:%d\r\n", stage.port ^ 1);
	AUTO_REPLY code = ask(&stage, "POST /v1/person/codes", BEARER, NULL);
	assert_int_equal(code.status, 201);
	snprintf(body, sizeof body, "{\"code\":\"%.*s\"}", STR_FMT(text_at(code.json, "code")));
	assert_refused(&stage, "POST /v1/person/tokens", "", body, 403, "forbidden");
	AUTO_REPLY foreign = ask(&stage, "POST /v1/person/tokens", bad_origin, body);
	assert_int_equal(foreign.status, 403);
	/* A name that leads here today may lead to somebody else tomorrow. */
	snprintf(bad_origin, sizeof bad_origin, "Origin: http://localhost:%d\r\n", stage.port);
	assert_refused(&stage, "POST /v1/person/tokens", bad_origin, body, 403, "forbidden");
	AUTO_REPLY token = ask(&stage, "POST /v1/person/tokens", origin, body);
	assert_int_equal(token.status, 201);
	assert_refused(&stage, "POST /v1/person/tokens", origin, body, 401, "unauthorized");

	snprintf(bearer, sizeof bearer, "Authorization: Bearer %.*s\r\n", STR_FMT(text_at(token.json, "token")));
	AUTO_REPLY status = ask(&stage, "GET /v1/status", bearer, NULL);
	assert_int_equal(status.status, 200);
	assert_refused(&stage, "POST /v1/person/codes", bearer, NULL, 403, "forbidden");
	assert_refused(&stage, "DELETE /v1/person/tokens/current", BEARER, NULL, 400, "invalid_request");
	AUTO_REPLY revoked = ask(&stage, "DELETE /v1/person/tokens/current", bearer, NULL);
	assert_int_equal(revoked.status, 204);
	assert_int_equal(revoked.body.n, 0);
	assert_refused(&stage, "GET /v1/status", bearer, NULL, 401, "unauthorized");
	assert_true(is_recorded(&stage, "person.token_issued", ""));
	assert_true(is_recorded(&stage, "person.token_revoked", ""));
	tear_down(&stage);
}

static void anybody_may_ask_for_a_proof_of_a_token(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
#define NONCE "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	AUTO_REPLY reply = ask(&stage, "POST /v1/person/proof", "", "{\"id\":1,\"nonce\":\"" NONCE "\"}");
	assert_int_equal(reply.status, 200);
	assert_int_equal(text_at(reply.json, "proof").n, 64);
	static const char *const bad[] = {
		"{\"id\":1}",
		"{\"id\":1,\"nonce\":\"\"}",
		"{\"id\":1,\"nonce\":\"0011\"}",
		"{\"id\":1,\"nonce\":\"" NONCE "00\"}",
		"{\"id\":1,\"nonce\":\"zz" NONCE "\"}",
		"{\"id\":-1,\"nonce\":\"" NONCE "\"}",
		"{\"id\":\"1\",\"nonce\":\"" NONCE "\"}",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_refused(&stage, "POST /v1/person/proof", "", bad[i], 400, "invalid_request");
	tear_down(&stage);
}

static void the_page_is_sent_with_a_policy(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	static const char *const files[][2] = {
		{"GET /", "text/html"},        {"GET /approvals?focus=act-1", "text/html"},
		{"GET /audit", "text/html"},   {"GET /page.js", "text/javascript"},
		{"GET /page.css", "text/css"}, {"GET /icon.svg", "image/svg+xml"}};
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		AUTO_REPLY reply = ask(&stage, files[i][0], "", NULL);
		assert_int_equal(reply.status, 200);
		assert_true(str_find(reply.head, str_from(files[i][1])) != STR_NPOS);
		assert_true(str_find(reply.head, S("Content-Security-Policy: default-src 'none'; script-src 'self'")) !=
			    STR_NPOS);
		assert_true(str_find(reply.head, S("require-trusted-types-for 'script'")) != STR_NPOS);
	}
	AUTO_REPLY html = ask(&stage, "GET /", "", NULL);
	assert_true(str_find(html.body, S("<script type=\"module\" crossorigin src=\"/page.js\"></script>")) !=
		    STR_NPOS);
	assert_true(str_find(html.body, S("<script>")) == STR_NPOS && str_find(html.body, S("style=")) == STR_NPOS);
	assert_refused(&stage, "GET /approvals/x", "", NULL, 404, "not_found");
	tear_down(&stage);
}

static void the_vault_is_unlocked_locked_and_put_on_record(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	AUTO_REPLY nonce = ask(&stage, "POST /v1/vault/nonce", BEARER, NULL);
	assert_int_equal(nonce.status, 201);
	assert_text(nonce.json, "nonce", "MDEyMzQ1Njc4OWFiY2RlZg==");
	assert_text(nonce.json, "key_id",
		    "4b45594944"
		    "4b4559");
	assert_text(nonce.json, "public_key", "3031323334353637383961626364656630313233343536373839616263646566");

	assert_refused(&stage, "POST /v1/vault/unlock", BEARER, "{\"sealed\":\"d3Jvbmc=\"}", 401, "wrong_passphrase");
	assert_true(is_recorded(&stage, "vault.unlock_failed", "\"aileron.failure.class\":\"wrong_passphrase\""));
	AUTO_REPLY wait = ask(&stage, "POST /v1/vault/unlock", BEARER, "{\"sealed\":\"d2FpdA==\"}");
	assert_int_equal(wait.status, 429);
	assert_true(str_find(wait.head, S("Retry-After: 2\r\n")) != STR_NPOS);
	assert_int_equal(count_events(&stage, "vault.unlock_failed"), 1);

	/* That an older file is to be accepted is on record before the keeper hears of it; each that was asked has an end. */
	assert_refused(&stage, "POST /v1/vault/unlock", BEARER, "{\"accept_rollback\":true}", 400, "sealed_required");
	assert_int_equal(count_events(&stage, "vault.rollback_asked"), 0);
	AUTO_REPLY older =
		ask(&stage, "POST /v1/vault/unlock", BEARER, "{\"accept_rollback\":true,\"sealed\":\"d2FpdA==\"}");
	assert_int_equal(older.status, 429);
	assert_true(stage.older_on_record);
	assert_int_equal(count_events(&stage, "vault.rollback_asked"), 1);
	assert_int_equal(count_events(&stage, "vault.unlock_failed"), 2);

	/* Who must wait anyhow has asked for nothing. */
	stage.throttled_ms = 2500;
	AUTO_REPLY too_soon =
		ask(&stage, "POST /v1/vault/unlock", BEARER, "{\"accept_rollback\":true,\"sealed\":\"eA==\"}");
	assert_int_equal(too_soon.status, 429);
	assert_true(str_find(too_soon.head, S("Retry-After: 3\r\n")) != STR_NPOS);
	assert_int_equal(stage.lock_state, KEEPER_LOCKED);
	assert_int_equal(count_events(&stage, "vault.rollback_asked"), 1);
	assert_int_equal(count_events(&stage, "vault.unlock_failed"), 2);
	stage.throttled_ms = 0;

	AUTO_REPLY unlocked = ask(&stage, "POST /v1/vault/unlock", BEARER, "{\"sealed\":\"eA==\"}");
	assert_int_equal(unlocked.status, 200);
	assert_text(unlocked.json, "member", "first");
	assert_int_equal(count_events(&stage, "vault.rollback_asked"), 1);
	AUTO_REPLY again = ask(&stage, "POST /v1/vault/unlock", BEARER, "{\"sealed\":\"eA==\"}");
	assert_int_equal(again.status, 409);
	assert_text(again.json, "state", "unlocked");
	AUTO_REPLY locked = ask(&stage, "POST /v1/vault/lock", BEARER, NULL);
	assert_int_equal(locked.status, 200);
	assert_text(locked.json, "state", "locked");
	assert_true(is_recorded(&stage, "vault.unlocked", "\"aileron.vault.member\":\"first\""));
	assert_true(is_recorded(&stage, "vault.locked", "\"aileron.reason\":\"locked\""));
	tear_down(&stage);
}

static void assert_verified(const struct json *shown, bool expected)
{
	bool verified = !expected;
	assert_true(json_get_bool(json_member(shown, S("verified")), &verified));
	assert_int_equal(verified, expected);
}

static void entries_members_and_backups_are_shown(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	AUTO_REPLY list = ask(&stage, "GET /v1/vault?prefix=secret%2F", BEARER, NULL);
	assert_int_equal(json_length(json_member(list.json, S("entries"))), 1);
	AUTO_REPLY other = ask(&stage, "GET /v1/vault?scope=agent", BEARER, NULL);
	assert_int_equal(json_length(json_member(other.json, S("entries"))), 0);
	assert_verified(json_at(json_member(list.json, S("entries")), 0), false);
	/* An empty list is as little verified as one that is not. */
	AUTO_REPLY none = ask(&stage, "GET /v1/bindings?kind=basic", BEARER, NULL);
	assert_int_equal(json_length(json_member(none.json, S("items"))), 0);
	assert_verified(none.json, false);
	AUTO_REPLY unlocked = ask(&stage, "POST /v1/vault/unlock", BEARER, "{\"sealed\":\"eA==\"}");
	assert_int_equal(unlocked.status, 200);
	AUTO_REPLY still_none = ask(&stage, "GET /v1/bindings?kind=oauth2", BEARER, NULL);
	assert_verified(still_none.json, true);
	AUTO_REPLY meta = ask(&stage, "GET /v1/vault/entries/secret%2Fx", BEARER, NULL);
	assert_int_equal(meta.status, 200);
	assert_text(meta.json, "scope", "secret");
	AUTO_REPLY put = ask(&stage, "PUT /v1/vault/entries/user%2Fmail", BEARER,
			     "{\"sealed\":\"eA==\",\"metadata\":{\"type\":\"text\",\"labels\":{\"a\":\"b\"}}}");
	assert_int_equal(put.status, 200);
	assert_true(is_recorded(&stage, "vault.user.credential.write", "\"aileron.vault.user.service\":\"mail\""));
	assert_refused(&stage, "DELETE /v1/vault/entries/secret%2Fx", BEARER, NULL, 404, "vault_not_found");
	AUTO_REPLY members = ask(&stage, "GET /v1/vault/members", BEARER, NULL);
	assert_int_equal(members.status, 200);
	AUTO_REPLY added = ask(&stage, "POST /v1/vault/members", BEARER, "{\"name\":\"ci\",\"sealed\":\"eA==\"}");
	assert_int_equal(added.status, 201);
	assert_true(is_recorded(&stage, "vault.member_added", "\"aileron.vault.member\":\"ci\""));
	AUTO_REPLY backups = ask(&stage, "GET /v1/vault/backups", BEARER, NULL);
	assert_int_equal(backups.status, 200);
	AUTO_REPLY dropped = ask(&stage, "DELETE /v1/vault/backups/vault.bak", BEARER, NULL);
	assert_int_equal(dropped.status, 204);
	AUTO_REPLY tune = ask(&stage, "POST /v1/vault/tune", BEARER, NULL);
	assert_int_equal(tune.status, 200);
	tear_down(&stage);
}

static void what_the_keeper_tells_is_put_on_record(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	push_changed(&stage, "idle");
	push_noted(&stage, "released", 17);
	push_noted(&stage, "signed", 18);
	push_noted(&stage, "signed", 18);
	push_noted(&stage, "refreshed", 0);
	push_noted(&stage, "stale", 0);
	await_recorded(&stage, "binding.stale", "\"aileron.binding.stale_reason\":\"github.com/a/b\"");
	assert_true(is_recorded(&stage, "vault.locked", "\"aileron.reason\":\"idle\""));
	assert_true(is_recorded(&stage, "vault.credential.read", "\"aileron.connector.fqn\":\"github.com/a/b\""));
	assert_true(is_recorded(&stage, "vault.credential.read", "\"aileron.credential.use\":\"17\""));
	assert_int_equal(count_events(&stage, "vault.credential.read"), 2);
	assert_int_equal(count_events(&stage, "binding.refreshed"), 1);
	tear_down(&stage);
}

static void a_keeper_that_is_replaced_costs_the_calls_it_had(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	take_keeper(&stage);
	assert_refused(&stage, "GET /v1/vault/status", BEARER, NULL, 503, "unavailable");
	AUTO_REPLY status = ask(&stage, "GET /v1/status", BEARER, NULL);
	assert_int_equal(status.status, 200);
	assert_text(json_member(status.json, S("vault")), "trouble", "unavailable");
	AUTO_REPLY doctor = ask(&stage, "GET /v1/doctor", BEARER, NULL);
	assert_true(str_find(doctor.body, S("'/home/u/elsewhere/vault'")) != STR_NPOS);
	give_keeper(&stage);
	/* Until control has the new end, it says the same; the frame is on its way. */
	uint64_t until = clock_monotonic_ns(NULL) + 20 * TIME_SECOND;
	for (unsigned code = 0; code != 200;) {
		AUTO_REPLY reply = ask(&stage, "GET /v1/vault/status", BEARER, NULL);
		code = reply.status;
		assert_true(clock_monotonic_ns(NULL) < until);
	}
	tear_down(&stage);
}

static void status_shows_processes_with_their_proofs(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	struct confine_report report = {.no_new_privs = true, .seccomp = true, .landlock_abi = 1};
	AUTO_BUF proof = BUF_INIT(4 * KIB);
	confine_report_put(&proof, &report);
	struct supervise_child child = {
		.role = SUPERVISE_EGRESS, .running = true, .pid = 12, .started_at = 1, .confinement = buf_str(&proof)};
	AUTO_BUF body = BUF_INIT(SUPERVISE_BODY);
	supervise_child_put(&body, &child);
	tell(&stage, SUPERVISE_CHILD, &body, -1);
	child = (struct supervise_child){.role = SUPERVISE_EGRESS, .last_end = S("signal 9 (Killed)"), .restarts = 1};
	buf_clear(&body);
	supervise_child_put(&body, &child);
	tell(&stage, SUPERVISE_CHILD, &body, -1);
	await_recorded(&stage, "process.ended", "\"aileron.process.end\":\"signal 9 (Killed)\"");
	AUTO_REPLY health = ask(&stage, "GET /v1/health", "", NULL);
	assert_text(health.json, "status", "degraded");
	AUTO_REPLY status = ask(&stage, "GET /v1/status", BEARER, NULL);
	const struct json *process = json_at(json_member(status.json, S("processes")), 0);
	assert_text(process, "role", "egress");
	assert_text(process, "last_end", "signal 9 (Killed)");
	AUTO_REPLY doctor = ask(&stage, "GET /v1/doctor", BEARER, NULL);
	assert_int_equal(doctor.status, 200);
	assert_true(str_find(doctor.body, S("{\"name\":\"database\",\"ok\":true")) != STR_NPOS);
	assert_true(str_find(doctor.body, S("{\"name\":\"process egress\",\"ok\":false")) != STR_NPOS);
	tear_down(&stage);
}

/* Reads until the text has come; false at the end of the stream. */
static bool read_until(int fd, struct buf *got, const char *text)
{
	while (str_find(buf_str(got), str_from(text)) == STR_NPOS) {
		char bytes[4096];
		ssize_t n = read(fd, bytes, sizeof bytes);
		if (n <= 0)
			return false;
		buf_add(got, bytes, (size_t)n);
	}
	return true;
}

static void whoever_follows_the_record_sees_what_comes_and_the_end(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	AUTO_FD all = connect_to(&stage);
	send_request(&stage, all, "GET /v1/audit/tail?after_seq=0", BEARER, NULL);
	AUTO_BUF got = BUF_INIT(1 * MIB);
	assert_true(read_until(all, &got, "text/event-stream"));
	assert_true(read_until(all, &got, "daemon.started"));
	AUTO_FD later = connect_to(&stage);
	send_request(&stage, later, "GET /v1/audit/tail", BEARER, NULL);
	AUTO_BUF got_later = BUF_INIT(1 * MIB);
	assert_true(read_until(later, &got_later, "\r\n\r\n"));
	AUTO_REPLY posted =
		ask(&stage, "POST /v1/audit", BEARER,
		    "{\"event_type\":\"sandbox.proxy.disabled\",\"actor\":{\"type\":\"service\",\"id\":\"launch\"},"
		    "\"payload\":{\"a\":\"b\",\"aileron.actor.identity_label\":\"alice\"}}");
	assert_int_equal(posted.status, 201);
	assert_true(read_until(all, &got, "sandbox.proxy.disabled"));
	assert_true(read_until(later, &got_later, "\"identity_label\":\"alice\""));
	assert_true(str_find(buf_str(&got_later), S("daemon.started")) == STR_NPOS);
	assert_true(str_find(buf_str(&got_later), S("id: ")) != STR_NPOS ||
		    str_find(buf_str(&got_later), S("id:")) != STR_NPOS);
	assert_refused(&stage, "POST /v1/audit", BEARER,
		       "{\"event_type\":\"vault.unlocked\",\"actor\":{\"type\":\"service\",\"id\":\"x\"}}", 400,
		       "invalid_request");
	assert_int_equal(stop(&stage), 0);
	assert_false(read_until(all, &got, "never"));
	remove_folder(&stage);
}

static void an_export_is_signed_and_verifies(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	await_recorded(&stage, "daemon.started", INSTANCE);
	AUTO_FD fd = connect_to(&stage);
	AUTO_BUF request = BUF_INIT(1024);
	/* Of HTTP/1.0, so that the answer comes without chunks. */
	buf_addf(&request, "GET /v1/audit/export HTTP/1.0\r\nHost: 127.0.0.1:%d\r\n" BEARER "\r\n", stage.port);
	assert_int_equal(file_write_fd(fd, "request", buf_str(&request), NULL), 0);
	AUTO_BUF got = BUF_INIT(1 * MIB);
	assert_int_equal(file_read_fd(fd, "answer", &got, NULL), 0);
	size_t end = str_find(buf_str(&got), S("\r\n\r\n"));
	AUTO_FD file = file_in_memory("export", NULL);
	assert_int_equal(file_write_fd(file, "export", str_slice(buf_str(&got), end + 4, got.n), NULL), 0);
	assert_int_equal(lseek(file, 0, SEEK_SET), 0);
	struct secret *seed = secret_from(S(SEED), NULL);
	struct sign_key *key = sign_key_new(seed, NULL);
	unsigned char public_key[ED25519_PUBLIC_SIZE];
	sign_key_public(key, public_key);
	struct audit_verdict verdict = {0};
	assert_int_equal(audit_verify_file(file, "export", str_of(public_key, sizeof public_key), &verdict, NULL), 0);
	assert_true(verdict.intact);
	assert_true(verdict.origin_proven);
	assert_true(verdict.events >= 1);
	sign_key_free(key);
	secret_free(seed);
	AUTO_REPLY verified = ask(&stage, "POST /v1/audit/verify", BEARER, NULL);
	assert_int_equal(verified.status, 200);
	bool intact = false;
	assert_true(json_get_bool(json_member(verified.json, S("intact")), &intact) && intact);
	tear_down(&stage);
}

static int append_many(struct db_tx *tx, void *user, struct err *err)
{
	(void)user;
	const struct audit_event event = {.type = AUDIT_DAEMON_STOPPED, .actor_id = S("test")};
	for (int i = 0; i < AUDIT_CHECKPOINT_N; i++) {
		if (audit_append(tx, &event, NULL, NULL, err) < 0)
			return -1;
	}
	return 0;
}

static void a_thousand_events_are_signed_for(void **state)
{
	(void)state;
	struct stage stage;
	make_folder(&stage);
	assert_int_equal(chdir(stage.folder), 0);
	struct db *db = db_open(&(struct db_options){.name = "aileron.db"}, NULL);
	assert_non_null(db);
	assert_int_equal(db_write(db, append_many, NULL, NULL), 0);
	db_close(db);
	assert_int_equal(chdir("/"), 0);
	start(&stage);
	/* The commit of daemon.started is a reason to look. */
	int64_t checkpoints = 0;
	for (uint64_t until = clock_monotonic_ns(NULL) + 20 * TIME_SECOND; checkpoints == 0;) {
		AUTO_REPLY verified = ask(&stage, "POST /v1/audit/verify", BEARER, NULL);
		assert_int_equal(verified.status, 200);
		assert_true(json_get_int(json_member(verified.json, S("checkpoints")), &checkpoints));
		assert_true(clock_monotonic_ns(NULL) < until);
	}
	AUTO_REPLY verified = ask(&stage, "POST /v1/audit/verify", BEARER, NULL);
	bool proven = false;
	assert_true(json_get_bool(json_member(verified.json, S("origin_proven")), &proven) && proven);
	assert_int_equal(checkpoints, 1);
	tear_down(&stage);
}

static int insert_open_execution(struct db_tx *tx, void *user, struct err *err)
{
	(void)user;
	return db_run(db_stmt(tx, "INSERT INTO calls_open (id, connector, op, started_ns)"
				  " VALUES ('e1', 'github.com/a/b', 'list', 1)"),
		      err) < 0
		       ? -1
		       : 0;
}

static void a_restart_ends_what_was_open_and_records_itself(void **state)
{
	(void)state;
	struct stage stage;
	make_folder(&stage);
	assert_int_equal(chdir(stage.folder), 0);
	struct db *db = db_open(&(struct db_options){.name = "aileron.db"}, NULL);
	assert_non_null(db);
	assert_int_equal(db_write(db, insert_open_execution, NULL, NULL), 0);
	db_close(db);
	assert_int_equal(chdir("/"), 0);

	start(&stage);
	assert_true(is_recorded(&stage, "execution.failed", "interrupted"));
	await_recorded(&stage, "daemon.started", INSTANCE);
	AUTO_REPLY made = ask(&stage, "POST /v1/sessions", BEARER, "{\"agent\":\"claude\"}");
	assert_int_equal(made.status, 201);
	/* A crash of control alone: the daemon goes on, so do its sessions. */
	child_kill(&stage.child, SIGKILL);
	(void)wait_end(&stage);
	start(&stage);
	assert_true(stage.ready);
	AUTO_REPLY running = ask(&stage, "GET /v1/sessions?active_only=true", BEARER, NULL);
	assert_int_equal(json_length(json_member(running.json, S("items"))), 1);
	assert_int_equal(stop(&stage), 0);

	/* The next daemon. */
	stage.started_at = clock_wall_ns(NULL);
	start(&stage);
	assert_true(is_recorded(&stage, "daemon.stopped", INSTANCE));
	assert_int_equal(count_events(&stage, "daemon.started"), 1); /* it goes by the same name here */
	assert_int_equal(count_events(&stage, "execution.failed"), 1);
	/* Orphans are ended by the first job, which nobody waits for. */
	uint64_t until = clock_monotonic_ns(NULL) + 20 * TIME_SECOND;
	for (bool orphaned = false; !orphaned;) {
		AUTO_REPLY all = ask(&stage, "GET /v1/sessions", BEARER, NULL);
		orphaned = str_find(all.body, S("\"status\":\"orphaned\"")) != STR_NPOS;
		assert_true(clock_monotonic_ns(NULL) < until);
	}
	tear_down(&stage);
}

static void the_end_of_the_parent_is_ours(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	close(stage.link);
	stage.link = -1;
	assert_int_equal(wait_end(&stage), 0);
	remove_folder(&stage);
}

static void a_damaged_database_is_said_to_whoever_starts_us(void **state)
{
	(void)state;
	struct stage stage;
	make_folder(&stage);
	char path[96];
	snprintf(path, sizeof path, "%s/aileron.db", stage.folder);
	static const char nonsense[8192] = "this is no database";
	assert_int_equal(file_create(path, str_of(nonsense, sizeof nonsense), 0600, NULL), 1);
	start(&stage);
	assert_false(stage.ready);
	assert_int_equal(stage.failed.class, ERR_DATABASE_CORRUPT);
	assert_int_equal(wait_end(&stage), 1);
	remove_folder(&stage);
}

static void a_stop_ends_requests_that_wait_for_nothing(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	stage.silent = true;
	AUTO_FD fd = connect_to(&stage);
	send_request(&stage, fd, "GET /v1/vault/status", BEARER, NULL);
	/* A second request shows that the first one was taken. */
	AUTO_REPLY health = ask(&stage, "GET /v1/health", "", NULL);
	assert_int_equal(health.status, 200);
	AUTO_BUF body = BUF_INIT(8);
	wire_put_u64(&body, 50);
	tell(&stage, SUPERVISE_STOP, &body, -1);
	assert_int_equal(wait_end(&stage), 0);
	remove_folder(&stage);
}

/* What the workers and those who wait for one are, and some more. */
#define CROWD (CONTROL_WORKERS + CONTROL_WAITING_MAX + 20)

static void too_many_at_once_are_turned_away_and_the_rest_is_served(void **state)
{
	(void)state;
	struct stage stage;
	struct rlimit files;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	if (files.rlim_max < 2 * CROWD)
		skip_because("too few descriptors");
	files.rlim_cur = files.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	set_up(&stage);
	stage.silent = true;
	int *fds = xcalloc(CROWD, sizeof *fds);
	for (size_t i = 0; i < CROWD; i++) {
		fds[i] = connect_to(&stage);
		send_request(&stage, fds[i], "GET /v1/vault", BEARER, NULL);
	}
	/* Of those that are answered before the keeper speaks, all are turned away; it is they who were too many. */
	size_t refused = 0;
	for (uint64_t until = clock_monotonic_ns(NULL) + 20 * TIME_SECOND; refused < 20;) {
		assert_true(clock_monotonic_ns(NULL) < until);
		for (size_t i = 0; i < CROWD; i++) {
			struct pollfd ready = {.fd = fds[i], .events = POLLIN};
			char bytes[512] = "";
			if (fds[i] < 0 || poll(&ready, 1, 0) != 1)
				continue;
			assert_true(read(fds[i], bytes, sizeof bytes - 1) > 0);
			assert_memory_equal(bytes, "HTTP/1.1 503 ", 13);
			close(fds[i]);
			fds[i] = -1;
			refused++;
		}
	}
	/* A thread that is being started has not taken its request yet. */
	assert_true(refused <= 20 + CONTROL_WORKERS);
	/* The loop is nobody's to hold up. */
	AUTO_REPLY health = ask(&stage, "GET /v1/health", "", NULL);
	assert_int_equal(health.status, 200);
	for (size_t i = 0; i < CROWD; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	free(fds);
	AUTO_BUF body = BUF_INIT(8);
	wire_put_u64(&body, 50);
	tell(&stage, SUPERVISE_STOP, &body, -1);
	assert_int_equal(wait_end(&stage), 0);
	remove_folder(&stage);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(health_says_which_daemon_this_is),
		cmocka_unit_test(whoever_asks_wrongly_is_told_what_is_wrong),
		cmocka_unit_test(a_session_has_a_life_and_a_token_that_opens_little),
		cmocka_unit_test(a_browser_gets_in_by_a_code_from_our_own_page),
		cmocka_unit_test(anybody_may_ask_for_a_proof_of_a_token),
		cmocka_unit_test(the_page_is_sent_with_a_policy),
		cmocka_unit_test(the_vault_is_unlocked_locked_and_put_on_record),
		cmocka_unit_test(entries_members_and_backups_are_shown),
		cmocka_unit_test(what_the_keeper_tells_is_put_on_record),
		cmocka_unit_test(a_keeper_that_is_replaced_costs_the_calls_it_had),
		cmocka_unit_test(status_shows_processes_with_their_proofs),
		cmocka_unit_test(whoever_follows_the_record_sees_what_comes_and_the_end),
		cmocka_unit_test(an_export_is_signed_and_verifies),
		cmocka_unit_test(a_thousand_events_are_signed_for),
		cmocka_unit_test(a_restart_ends_what_was_open_and_records_itself),
		cmocka_unit_test(the_end_of_the_parent_is_ours),
		cmocka_unit_test(a_damaged_database_is_said_to_whoever_starts_us),
		cmocka_unit_test(a_stop_ends_requests_that_wait_for_nothing),
		cmocka_unit_test(too_many_at_once_are_turned_away_and_the_rest_is_served),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
