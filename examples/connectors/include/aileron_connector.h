/*
 * aileron_connector.h: write an Aileron connector in C, in one header
 *
 * A connector is a WASI command: it reads {"op":…,"args":{…}} from standard input, asks the host for HTTP requests, and
 * writes {"output":{…}} or {"error":{…}} to standard output. This header does all of that; you write one function an op:
 *
 *     #include "aileron_connector.h"
 *
 *     static void hello(struct al_call *call)
 *     {
 *             struct al_str name;
 *             if (!al_arg_str(call, "name", &name))
 *                     return al_fail(call, "bad_argument", "'name' must be a string");
 *             struct al_out *out = al_output(call);
 *             al_put_key(out, "greeting");
 *             al_put_str(out, name);
 *     }
 *
 *     AL_CONNECTOR({"hello", hello})
 *
 *     clang --target=wasm32-wasi -O2 -I… -o connector.wasm connector.c
 *
 * A request names the credential that the manifest declares, and the host adds it after the request has left your code:
 *
 *     struct al_response res;
 *     if (!al_http(&(struct al_request){.url = AL_S("https://api.example.com/v1/me"), .credential = AL_S("api_key")}, &res))
 *             return;                     refused or failed: the host reports its own error, nothing to add
 *     if (res.status != 200)
 *             return al_fail_status(call, "Example", &res);
 *
 * Memory is handed out and never taken back: a call has a fresh instance and ends soon. Include it in one .c file. It
 * needs no C library beyond what the compiler itself calls (memcpy, memcmp, memset).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ------------------------------------------------------------------------------------------------ text and memory */

struct al_str {
	const char *p;
	size_t n;
};
#define AL_S(literal) ((struct al_str){("" literal), sizeof(literal) - 1})

static inline struct al_str al_str_from(const char *z)
{
	return (struct al_str){z, __builtin_strlen(z)};
}

static inline bool al_str_eq(struct al_str a, struct al_str b)
{
	return a.n == b.n && (a.n == 0 || __builtin_memcmp(a.p, b.p, a.n) == 0);
}

extern unsigned char __heap_base; /* from the linker: where free memory begins */

/* Never NULL: the instance ends when memory does. */
static void *al_alloc(size_t n)
{
	static uintptr_t next;
	if (next == 0)
		next = (uintptr_t)&__heap_base;
	uintptr_t start = (next + 15) & ~(uintptr_t)15;
	uintptr_t size = (uintptr_t)__builtin_wasm_memory_size(0) << 16;
	if (n > UINTPTR_MAX - start)
		__builtin_trap();
	if (start + n > size) {
		size_t pages = (start + n - size + 0xffff) >> 16;
		if (__builtin_wasm_memory_grow(0, pages) == (size_t)-1)
			__builtin_trap();
	}
	next = start + n;
	return (void *)start;
}

/* A growing text, also the target of the JSON functions below. */
struct al_out {
	char *p;
	size_t n, room;
	bool comma; /* the next value needs one in front */
};

static void al_add(struct al_out *out, struct al_str s)
{
	if (out->n + s.n > out->room) {
		size_t room = out->room < 256 ? 256 : out->room;
		while (room < out->n + s.n)
			room *= 2;
		char *p = al_alloc(room);
		if (out->n > 0)
			__builtin_memcpy(p, out->p, out->n);
		out->p = p;
		out->room = room;
	}
	if (s.n > 0)
		__builtin_memcpy(out->p + out->n, s.p, s.n);
	out->n += s.n;
}

static inline struct al_str al_text(const struct al_out *out)
{
	return (struct al_str){out->p, out->n};
}

/* ----------------------------------------------------------------------------------------------------- writing JSON */

static void al_put_separator(struct al_out *out)
{
	if (out->comma)
		al_add(out, AL_S(","));
	out->comma = true;
}

static void al_quote(struct al_out *out, struct al_str s)
{
	static const char hex[] = "0123456789abcdef";
	al_add(out, AL_S("\""));
	size_t plain = 0;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		al_add(out, (struct al_str){s.p + plain, i - plain});
		plain = i + 1;
		char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
		if (c >= 0x20)
			al_add(out, (struct al_str){(char[]){'\\', (char)c}, 2});
		else
			al_add(out, (struct al_str){escape, 6});
	}
	al_add(out, (struct al_str){s.p + plain, s.n - plain});
	al_add(out, AL_S("\""));
}

static void al_put_key(struct al_out *out, const char *key)
{
	al_put_separator(out);
	al_quote(out, al_str_from(key));
	al_add(out, AL_S(":"));
	out->comma = false;
}

static void al_put_str(struct al_out *out, struct al_str value)
{
	al_put_separator(out);
	al_quote(out, value);
}

/* Text that is JSON already: a response body, a number as it was read. */
static void al_put_json(struct al_out *out, struct al_str json)
{
	al_put_separator(out);
	al_add(out, json);
}

static void al_put_int(struct al_out *out, int64_t value)
{
	char digits[20];
	size_t at = sizeof digits;
	uint64_t rest = value < 0 ? (uint64_t)0 - (uint64_t)value : (uint64_t)value;
	do {
		digits[--at] = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (value < 0)
		digits[--at] = '-';
	al_put_json(out, (struct al_str){digits + at, sizeof digits - at});
}

static void al_put_bool(struct al_out *out, bool value)
{
	al_put_json(out, value ? AL_S("true") : AL_S("false"));
}

static void al_put_begin(struct al_out *out, const char *bracket)
{
	al_put_separator(out);
	al_add(out, al_str_from(bracket));
	out->comma = false;
}

static void al_put_end(struct al_out *out, const char *bracket)
{
	al_add(out, al_str_from(bracket));
	out->comma = true;
}

/* ----------------------------------------------------------------------------------------------------- reading JSON */

/* One value inside a text. A p of NULL is "no value"; every function accepts it. */
struct al_json {
	const char *p, *end;
};

static const char *al_skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

/* The end of the value at p, or NULL. Counts brackets, so that depth costs nothing; the host has checked its own JSON. */
static const char *al_skip_value(const char *p, const char *end)
{
	size_t depth = 0;
	for (; p < end; p++) {
		if (*p == '"') {
			for (p++; p < end && *p != '"'; p++) {
				if (*p == '\\')
					p++;
			}
			if (p >= end)
				return NULL;
		} else if (*p == '{' || *p == '[') {
			depth++;
			continue;
		} else if (*p == '}' || *p == ']') {
			if (depth == 0)
				return p;
			depth--;
		} else if (depth > 0 || (*p != ',' && *p != ':' && *p > ' ')) {
			continue;
		} else {
			return p;
		}
		if (depth == 0)
			return p + 1;
	}
	return depth == 0 ? p : NULL;
}

static struct al_json al_json_of(struct al_str text)
{
	const char *end = text.p + text.n;
	const char *p = al_skip_space(text.p, end);
	return p < end ? (struct al_json){p, end} : (struct al_json){NULL, NULL};
}

static bool al_json_is(struct al_json value, char first)
{
	return value.p != NULL && *value.p == first;
}

/* The value's own text, without what follows it. */
static struct al_str al_json_text(struct al_json value)
{
	const char *stop = value.p == NULL ? NULL : al_skip_value(value.p, value.end);
	return stop == NULL ? (struct al_str){NULL, 0} : (struct al_str){value.p, (size_t)(stop - value.p)};
}

static int al_hex4(const char *p)
{
	int value = 0;
	for (int i = 0; i < 4; i++) {
		char c = p[i];
		int digit = c >= '0' && c <= '9'   ? c - '0'
			    : c >= 'a' && c <= 'f' ? c - 'a' + 10
			    : c >= 'A' && c <= 'F' ? c - 'A' + 10
						   : -1;
		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

static void al_add_utf8(struct al_out *out, unsigned c)
{
	char b[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = n; i-- > 1; c >>= 6)
		b[i] = (char)(0x80 | (c & 0x3f));
	b[0] = (char)(n == 1 ? c : (0xf00u >> n & 0xff) | c);
	al_add(out, (struct al_str){b, n});
}

/* Adds the escape whose character stands at p; returns the last byte it used, or NULL. */
static const char *al_unescape(struct al_out *out, const char *p, const char *end)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	for (size_t i = 0; i < sizeof from - 1; i++) {
		if (*p == from[i]) {
			al_add(out, (struct al_str){&to[i], 1});
			return p;
		}
	}
	int high = *p == 'u' && end - p > 4 ? al_hex4(p + 1) : -1;
	if (high < 0)
		return NULL;
	p += 4;
	unsigned c = (unsigned)high;
	if (c >= 0xd800 && c < 0xdc00 && end - p > 6 && p[1] == '\\' && p[2] == 'u') {
		int low = al_hex4(p + 3);
		if (low >= 0xdc00 && low < 0xe000) {
			c = 0x10000 + ((c - 0xd800) << 10) + ((unsigned)low - 0xdc00);
			p += 6;
		}
	}
	al_add_utf8(out, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
	return p;
}

static bool al_json_str(struct al_json value, struct al_str *ret)
{
	if (!al_json_is(value, '"'))
		return false;
	struct al_out out = {0};
	const char *p = value.p + 1;
	const char *plain = p;
	for (; p < value.end && *p != '"'; p++) {
		if (*p != '\\')
			continue;
		al_add(&out, (struct al_str){plain, (size_t)(p - plain)});
		p = p + 1 < value.end ? al_unescape(&out, p + 1, value.end) : NULL;
		if (p == NULL)
			return false;
		plain = p + 1;
	}
	if (p >= value.end)
		return false;
	al_add(&out, (struct al_str){plain, (size_t)(p - plain)});
	*ret = al_text(&out);
	return true;
}

/* Integers only; a fraction or an exponent is refused. */
static bool al_json_int(struct al_json value, int64_t *ret)
{
	struct al_str text = al_json_text(value);
	bool negative = text.n > 0 && text.p[0] == '-';
	size_t i = negative;
	if (i == text.n || text.n > 18)
		return false;
	int64_t number = 0;
	for (; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
		number = number * 10 + (text.p[i] - '0');
	}
	*ret = negative ? -number : number;
	return true;
}

/*
 * Steps through the values of an array or object: `struct al_json at = {0}; while (al_json_next(array, &at)) …`; with a
 * `key`, through the members.
 */
static bool al_json_next_member(struct al_json in, struct al_json *at, struct al_str *key)
{
	if (in.p == NULL || *in.p != (key != NULL ? '{' : '['))
		return false;
	const char *p = at->p == NULL ? in.p + 1 : al_skip_value(at->p, in.end);
	if (p == NULL)
		return false;
	p = al_skip_space(p, in.end);
	if (at->p != NULL && p < in.end && *p == ',')
		p = al_skip_space(p + 1, in.end);
	if (p >= in.end || *p == '}' || *p == ']')
		return false;
	if (key != NULL) {
		struct al_json name = {p, in.end};
		if (!al_json_str(name, key))
			return false;
		p = al_skip_value(p, in.end);
		p = p == NULL ? in.end : al_skip_space(p, in.end);
		if (p >= in.end || *p != ':')
			return false;
		p = al_skip_space(p + 1, in.end);
	}
	*at = (struct al_json){p, in.end};
	return p < in.end;
}

static bool al_json_next(struct al_json array, struct al_json *at)
{
	return al_json_next_member(array, at, NULL);
}

static struct al_json al_json_get(struct al_json object, const char *name)
{
	struct al_json at = {NULL, NULL};
	struct al_str key;
	while (al_json_next_member(object, &at, &key)) {
		if (al_str_eq(key, al_str_from(name)))
			return at;
	}
	return (struct al_json){NULL, NULL};
}

/* --------------------------------------------------------------------------------------------------------- the host */

#define AL_IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define AL_HOST(name)           AL_IMPORT("aileron_host", name)
#define AL_WASI(name)           AL_IMPORT("wasi_snapshot_preview1", name)

AL_HOST("log") void al_host_log(const char *level, size_t level_n, const char *message, size_t message_n);
AL_HOST("http_request") int32_t al_host_http_request(const char *request, size_t n);
AL_HOST("http_response_size") int32_t al_host_http_response_size(void);
AL_HOST("http_response_status") int32_t al_host_http_response_status(void);
AL_HOST("http_response_read") int32_t al_host_http_response_read(char *to, size_t n);
AL_HOST("audit_emit") int32_t al_host_audit_emit(const char *object, size_t n);

struct al_iovec {
	const char *p;
	size_t n;
};
AL_WASI("fd_read") uint16_t al_wasi_fd_read(int fd, const struct al_iovec *iov, size_t count, size_t *ret_n);
AL_WASI("fd_write") uint16_t al_wasi_fd_write(int fd, const struct al_iovec *iov, size_t count, size_t *ret_n);

static void al_log(const char *level, struct al_str message)
{
	al_host_log(level, __builtin_strlen(level), message.p, message.n);
}

/*
 * One line of your own for the person's audit: a JSON object of at most 4096 bytes, 100 of them a call. False when it was
 * not stored, which does not fail the call.
 */
static bool al_audit(struct al_str object)
{
	return al_host_audit_emit(object.p, object.n) == 0;
}

struct al_header {
	struct al_str name, value;
};

struct al_request {
	struct al_str method; /* empty = GET */
	struct al_str url;
	struct al_header headers[8]; /* up to the first without a name */
	struct al_str body;
	struct al_str credential; /* the kind that the manifest declares, or empty */
};

struct al_response {
	int status;
	struct al_str body;
};

/* False when the host refused or the transfer failed: end the call then, the host tells the caller why. */
static bool al_http(const struct al_request *request, struct al_response *ret)
{
	struct al_out out = {0};
	al_put_begin(&out, "{");
	al_put_key(&out, "method");
	al_put_str(&out, request->method.n > 0 ? request->method : AL_S("GET"));
	al_put_key(&out, "url");
	al_put_str(&out, request->url);
	al_put_key(&out, "headers");
	al_put_begin(&out, "{");
	for (size_t i = 0; i < 8 && request->headers[i].name.n > 0; i++) {
		al_put_separator(&out);
		al_quote(&out, request->headers[i].name);
		al_add(&out, AL_S(":"));
		al_quote(&out, request->headers[i].value);
	}
	al_put_end(&out, "}");
	if (request->body.n > 0) {
		al_put_key(&out, "body");
		al_put_str(&out, request->body);
	}
	if (request->credential.n > 0) {
		al_put_key(&out, "credential");
		al_put_str(&out, request->credential);
	}
	al_put_end(&out, "}");
	if (al_host_http_request(out.p, out.n) != 0)
		return false;
	int32_t n = al_host_http_response_size();
	if (n < 0)
		return false;
	char *body = al_alloc((size_t)n);
	if (n > 0 && al_host_http_response_read(body, (size_t)n) != n)
		return false;
	*ret = (struct al_response){al_host_http_response_status(), {body, (size_t)n}};
	return true;
}

/* --------------------------------------------------------------------------------------------------------- the call */

struct al_call {
	struct al_str op;
	struct al_json args;
	struct al_out out;
	bool failed;
};

static struct al_json al_arg(struct al_call *call, const char *name)
{
	return al_json_get(call->args, name);
}

static bool al_arg_str(struct al_call *call, const char *name, struct al_str *ret)
{
	return al_json_str(al_arg(call, name), ret);
}

static bool al_arg_int(struct al_call *call, const char *name, int64_t *ret)
{
	return al_json_int(al_arg(call, name), ret);
}

/* Where the members of the output go: al_put_key(), then a value. */
static struct al_out *al_output(struct al_call *call)
{
	return &call->out;
}

/* Ends the op with an error of your own; what was put into the output is dropped. */
static void al_fail_text(struct al_call *call, const char *class_name, struct al_str message)
{
	call->failed = true;
	call->out = (struct al_out){0};
	al_put_key(&call->out, "class");
	al_put_str(&call->out, al_str_from(class_name));
	al_put_key(&call->out, "message");
	al_put_str(&call->out, message);
}

static void al_fail(struct al_call *call, const char *class_name, const char *message)
{
	al_fail_text(call, class_name, al_str_from(message));
}

/* "<API> returned <status>: <body>", as the class for answers of the service. */
static void al_fail_status(struct al_call *call, const char *api, const struct al_response *response)
{
	struct al_out text = {0};
	al_add(&text, al_str_from(api));
	al_add(&text, AL_S(" returned "));
	text.comma = false;
	al_put_int(&text, response->status);
	al_add(&text, AL_S(": "));
	al_add(&text, response->body);
	al_fail_text(call, "external_api_error", al_text(&text));
}

struct al_op {
	const char *name;
	void (*run)(struct al_call *call);
};

static struct al_str al_read_input(void)
{
	struct al_out in = {0};
	static char chunk[4096];
	for (;;) {
		struct al_iovec iov = {chunk, sizeof chunk};
		size_t n = 0;
		if (al_wasi_fd_read(0, &iov, 1, &n) != 0 || n == 0)
			return al_text(&in);
		al_add(&in, (struct al_str){chunk, n});
	}
}

static void al_write_result(const struct al_call *call)
{
	struct al_str head = call->failed ? AL_S("{\"error\":{") : AL_S("{\"output\":{");
	struct al_iovec iov[] = {{head.p, head.n}, {call->out.p, call->out.n}, {"}}\n", 3}};
	size_t n;
	al_wasi_fd_write(1, iov, 3, &n);
}

static void al_main(const struct al_op *ops, size_t n_ops)
{
	struct al_json input = al_json_of(al_read_input());
	struct al_call call = {.args = al_json_get(input, "args")};
	bool known = false;
	if (al_json_str(al_json_get(input, "op"), &call.op)) {
		for (size_t i = 0; i < n_ops && !known; i++) {
			known = al_str_eq(call.op, al_str_from(ops[i].name));
			if (known)
				ops[i].run(&call);
		}
	}
	if (!known) {
		struct al_out text = {0};
		al_add(&text, AL_S("there is no op "));
		al_quote(&text, call.op);
		al_fail_text(&call, "unknown_op", al_text(&text));
	}
	al_write_result(&call);
}

/* The program: your ops, a row each. */
#define AL_CONNECTOR(...)                                                                                              \
	int main(void)                                                                                                 \
	{                                                                                                              \
		static const struct al_op ops[] = {__VA_ARGS__};                                                       \
		al_main(ops, sizeof ops / sizeof ops[0]);                                                              \
		return 0;                                                                                              \
	}

/* Not every connector uses every function. */
static inline void al_all_used(void)
{
	(void)al_put_bool, (void)al_arg_int, (void)al_fail_status, (void)al_http, (void)al_log, (void)al_audit,
		(void)al_json_next;
	(void)al_put_json, (void)al_arg_str, (void)al_fail, (void)al_output;
}
