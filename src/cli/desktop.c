#include "cli/desktop.h"
#include "base/hex.h"
#include "base/limits.h"
#include "base/mem.h"
#include "text/percent.h"
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGE_MAX      ((size_t)64 * KIB)
#define ADDRESS_MAX      ((size_t)4 * KIB)
#define LINE_BYTES       512
#define HEAD_BYTES       16
#define MESSAGES_MAX     64 /* that are read before the answer: signals of the bus */
#define HELLO_SERIAL     1
#define NOTICE_SERIAL    2
#define IN_LITTLE_ENDIAN 'l'

enum { METHOD_CALL = 1, METHOD_RETURN = 2, METHOD_ERROR = 3 };
enum {
	FIELD_PATH = 1,
	FIELD_INTERFACE,
	FIELD_MEMBER,
	FIELD_ERROR,
	FIELD_SERIAL,
	FIELD_DESTINATION,
	FIELD_SENDER,
	FIELD_SIGNATURE
};

/* ------------------------------------------------------------------------------------------------------- messages, out */

static void align(struct buf *out, size_t n)
{
	while (out->n % n != 0)
		buf_add_char(out, 0);
}

static void put_u32(struct buf *out, uint32_t value)
{
	align(out, 4);
	for (unsigned shift = 0; shift < 32; shift += 8)
		buf_add_char(out, (char)(value >> shift & 0xff));
}

static void put_text(struct buf *out, struct str text)
{
	put_u32(out, (uint32_t)text.n);
	buf_add_str(out, text);
	buf_add_char(out, 0);
}

/* A field of the header: its number, the type of its value, the value. */
static void put_field(struct buf *out, char field, char type, const char *value)
{
	const char head[] = {field, 1, type, 0};
	align(out, 8);
	buf_add(out, head, sizeof head);
	if (type != 'g') {
		put_text(out, str_from(value));
		return;
	}
	buf_add_char(out, (char)strlen(value));
	buf_add_z(out, value);
	buf_add_char(out, 0);
}

struct call {
	uint32_t serial;
	const char *destination, *path, *interface, *member, *signature; /* signature NULL = no body */
	struct str body;
};

static void put_call(struct buf *out, const struct call *call)
{
	AUTO_BUF fields = BUF_INIT(MESSAGE_MAX);
	const char head[] = {IN_LITTLE_ENDIAN, METHOD_CALL, 0, 1};
	put_field(&fields, FIELD_PATH, 'o', call->path);
	put_field(&fields, FIELD_INTERFACE, 's', call->interface);
	put_field(&fields, FIELD_MEMBER, 's', call->member);
	put_field(&fields, FIELD_DESTINATION, 's', call->destination);
	if (call->signature != NULL)
		put_field(&fields, FIELD_SIGNATURE, 'g', call->signature);
	buf_add(out, head, sizeof head);
	put_u32(out, (uint32_t)call->body.n);
	put_u32(out, call->serial);
	put_u32(out, (uint32_t)fields.n);
	buf_add_str(out, buf_str(&fields)); /* behind 16 bytes, so aligned as they were alone */
	align(out, 8);
	buf_add_str(out, call->body);
}

static void put_hello(struct buf *out)
{
	const struct call hello = {
		.serial = HELLO_SERIAL,
		.destination = "org.freedesktop.DBus",
		.path = "/org/freedesktop/DBus",
		.interface = "org.freedesktop.DBus",
		.member = "Hello",
	};
	put_call(out, &hello);
}

static void put_notice(struct buf *out, struct str summary, struct str text)
{
	AUTO_BUF body = BUF_INIT(MESSAGE_MAX);
	put_text(&body, S("aileron"));
	put_u32(&body, 0); /* replaces none */
	put_text(&body, STR_EMPTY);
	put_text(&body, summary);
	put_text(&body, text);
	put_u32(&body, 0); /* actions: none */
	put_u32(&body, 0); /* hints: none, which begin at a multiple of 8 all the same */
	align(&body, 8);
	put_u32(&body, UINT32_MAX); /* -1: it stays as long as the desktop wants */
	struct call call = {
		.serial = NOTICE_SERIAL,
		.destination = "org.freedesktop.Notifications",
		.path = "/org/freedesktop/Notifications",
		.interface = "org.freedesktop.Notifications",
		.member = "Notify",
		.signature = "susssasa{sv}i",
		.body = buf_str(&body),
	};
	put_call(out, &call);
}

/* -------------------------------------------------------------------------------------------------------- messages, in */

struct reader {
	struct str text;
	size_t at;
	bool bad;
};

static void skip_to(struct reader *r, size_t n)
{
	r->at = (r->at + n - 1) / n * n;
}

static struct str read_bytes(struct reader *r, size_t n)
{
	if (r->bad || r->at > r->text.n || n > r->text.n - r->at) {
		r->bad = true;
		return STR_EMPTY;
	}
	struct str bytes = str_slice(r->text, r->at, r->at + n);
	r->at += n;
	return bytes;
}

static uint8_t read_u8(struct reader *r)
{
	struct str byte = read_bytes(r, 1);
	return byte.n == 1 ? (uint8_t)byte.p[0] : 0;
}

static uint32_t read_u32(struct reader *r)
{
	uint32_t value = 0;
	skip_to(r, 4);
	struct str bytes = read_bytes(r, 4);
	for (size_t i = bytes.n; i-- > 0;)
		value = value << 8 | (uint8_t)bytes.p[i];
	return value;
}

static struct str read_text(struct reader *r, bool signature)
{
	struct str text = read_bytes(r, signature ? read_u8(r) : read_u32(r));
	(void)read_bytes(r, 1);
	return text;
}

static void read_field(struct reader *r, struct desktop_answer *ret)
{
	skip_to(r, 8);
	uint8_t field = read_u8(r);
	struct str type = read_text(r, true);
	if (str_eq(type, S("u"))) {
		uint32_t value = read_u32(r);
		ret->serial = field == FIELD_SERIAL ? value : ret->serial;
	} else if (str_eq(type, S("s")) || str_eq(type, S("o")) || str_eq(type, S("g"))) {
		struct str text = read_text(r, str_eq(type, S("g")));
		ret->error = field == FIELD_ERROR ? text : ret->error;
	} else {
		r->bad = true;
	}
}

/* How long a message is, from its first 16 bytes; 0 when it is none, or too long. */
static size_t whole_size(struct str head)
{
	struct reader r = {.text = head, .at = 4};
	uint64_t body = read_u32(&r);
	(void)read_u32(&r);
	uint64_t fields = read_u32(&r);
	uint64_t whole = HEAD_BYTES + (fields + 7) / 8 * 8 + body;
	bool valid = !r.bad && head.p[0] == IN_LITTLE_ENDIAN && head.p[3] == 1 && whole <= MESSAGE_MAX;
	return valid ? (size_t)whole : 0;
}

int desktop_read_answer(struct str message, struct desktop_answer *ret, struct err *err)
{
	struct desktop_answer answer = {0};
	if (message.n < HEAD_BYTES || whole_size(str_slice(message, 0, HEAD_BYTES)) != message.n)
		return fail(err, ERR_PROTOCOL, "the session's bus sent what is no message");
	struct reader r = {.text = message, .at = 12};
	size_t end = HEAD_BYTES + read_u32(&r);
	r.text = str_slice(message, 0, end);
	while (!r.bad && r.at < end)
		read_field(&r, &answer);
	if (r.bad)
		return fail(err, ERR_PROTOCOL, "the session's bus sent a message with a broken header");
	answer.failed = message.p[1] == METHOD_ERROR;
	if (message.p[1] != METHOD_RETURN && message.p[1] != METHOD_ERROR)
		answer.serial = 0;
	*ret = answer;
	return 0;
}

/* ---------------------------------------------------------------------------------------------------------- the socket */

static int write_all(int fd, struct str bytes, struct err *err)
{
	while (bytes.n > 0) {
		ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail_errno(err, "cannot write to the session's bus");
		bytes = str_slice(bytes, (size_t)n, bytes.n);
	}
	return 0;
}

static int read_all(int fd, char *into, size_t n, struct err *err)
{
	while (n > 0) {
		ssize_t got = recv(fd, into, n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail_errno(err, "cannot read from the session's bus");
		if (got == 0)
			return fail(err, ERR_PROTOCOL, "the session's bus closed the connection");
		into += got;
		n -= (size_t)got;
	}
	return 0;
}

/* The value of a key of "unix:path=/run/user/1000/bus,guid=…", unescaped; false when it is not there. */
static bool address_value(struct str address, const char *key, struct buf *ret)
{
	if (!str_starts(address, S("unix:")))
		return false;
	struct str rest = str_slice(address, 5, address.n);
	while (rest.n > 0) {
		struct str pair, name;
		rest = str_cut(rest, ',', &pair);
		struct str value = str_cut(pair, '=', &name);
		if (!str_eq(name, str_from(key)))
			continue;
		for (size_t i = 0; i < value.n; i++) {
			int byte = percent_at(value, i);
			buf_add_char(ret, byte >= 0 ? (char)byte : value.p[i]);
			i += byte >= 0 ? 2 : 0;
		}
		return true;
	}
	return false;
}

static int connect_to(struct str name, bool abstract, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const struct timeval patience = {.tv_sec = DESKTOP_MS / 1000};
	if (name.n == 0 || name.n + 1 >= sizeof address.sun_path)
		return fail(err, ERR_SYSTEM, "the address of the session's bus is too long");
	memcpy(address.sun_path + (abstract ? 1 : 0), name.p, name.n);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name.n + 1);
	AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0 ||
	    connect(fd, (const struct sockaddr *)&address, size) < 0)
		return fail_errno(err, "cannot reach the session's bus");
	return TAKE_FD(fd);
}

/* A descriptor, or -1 with ERR_NONE when no bus is named. */
static int reach(struct err *err)
{
	AUTO_BUF name = BUF_INIT(ADDRESS_MAX);
	const char *addresses = getenv("DBUS_SESSION_BUS_ADDRESS"), *folder = getenv("XDG_RUNTIME_DIR");
	struct str rest = str_from(addresses != NULL ? addresses : "");
	while (rest.n > 0) {
		struct str address;
		rest = str_cut(rest, ';', &address);
		if (address_value(address, "path", &name))
			return buf_check(&name, "the address", err) < 0 ? -1 : connect_to(buf_str(&name), false, err);
		if (address_value(address, "abstract", &name))
			return buf_check(&name, "the address", err) < 0 ? -1 : connect_to(buf_str(&name), true, err);
	}
	if (folder == NULL || folder[0] != '/')
		return -1;
	buf_addf(&name, "%s/bus", folder);
	if (buf_check(&name, "the address", err) < 0 || access(name.p, F_OK) != 0)
		return -1;
	return connect_to(buf_str(&name), false, err);
}

/* EXTERNAL: the bus asks the kernel who we are, and we name the same. */
static int authenticate(int fd, struct err *err)
{
	char uid[24], digits[2 * sizeof uid + 1], line[LINE_BYTES];
	int n = snprintf(uid, sizeof uid, "%u", (unsigned)getuid());
	AUTO_BUF text = BUF_INIT(LINE_BYTES);
	buf_add_char(&text, 0);
	buf_addf(&text, "AUTH EXTERNAL %s\r\n", hex_format(str_of(uid, (size_t)n), digits));
	if (write_all(fd, buf_str(&text), err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof line; i++) {
		if (read_all(fd, line + i, 1, err) < 0)
			return -1;
		if (line[i] != '\n')
			continue;
		if (!str_starts(str_of(line, i), S("OK ")))
			return fail(err, ERR_PROTOCOL, "the session's bus does not know this user");
		return write_all(fd, S("BEGIN\r\n"), err);
	}
	return fail(err, ERR_PROTOCOL, "the session's bus answered too much");
}

static int read_message(int fd, char *message, struct desktop_answer *ret, struct err *err)
{
	if (read_all(fd, message, HEAD_BYTES, err) < 0)
		return -1;
	size_t whole = whole_size(str_of(message, HEAD_BYTES));
	if (whole == 0)
		return fail(err, ERR_PROTOCOL, "the session's bus sent what is no message");
	if (read_all(fd, message + HEAD_BYTES, whole - HEAD_BYTES, err) < 0)
		return -1;
	return desktop_read_answer(str_of(message, whole), ret, err);
}

/* What the answer to the notice is: 1, 0, -1. */
static int await(int fd, char *message, struct err *err)
{
	for (int i = 0; i < MESSAGES_MAX; i++) {
		struct desktop_answer answer;
		if (read_message(fd, message, &answer, err) < 0)
			return -1;
		if (answer.failed && str_ends(answer.error, S(".ServiceUnknown")))
			return 0;
		if (answer.failed)
			return fail(err, ERR_SYSTEM, "the session's bus refused: %.*s", STR_FMT(answer.error));
		if (answer.serial == NOTICE_SERIAL)
			return 1;
	}
	return fail(err, ERR_PROTOCOL, "the session's bus did not answer");
}

int desktop_notice(struct str summary, struct str body, struct err *err)
{
	static struct err failure;
	err_clear(&failure);
	AUTO_FD fd = reach(&failure);
	if (fd < 0) {
		if (failure.class != ERR_NONE && err != NULL)
			*err = failure;
		return failure.class == ERR_NONE ? 0 : -1;
	}
	AUTO_BUF messages = BUF_INIT(2 * MESSAGE_MAX);
	AUTO_FREE char *message = xmalloc(MESSAGE_MAX);
	AUTO_BUF notice = BUF_INIT(MESSAGE_MAX);
	put_hello(&messages);
	put_notice(&notice, summary, body);
	buf_add_str(&messages, buf_str(&notice));
	if (buf_check(&notice, "the notice", err) < 0 || authenticate(fd, err) < 0 ||
	    write_all(fd, buf_str(&messages), err) < 0)
		return -1;
	return await(fd, message, err);
}
