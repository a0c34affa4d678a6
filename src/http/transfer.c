#include "http/transfer.h"
#include "base/escape.h"
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <stdlib.h>

/* RFC 9110 9.2.2: sending these a second time after a broken connection is as good as once. */
static const char *const idempotent_methods[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"};
/* Go's client, which connectors were written against, says Content-Length: 0 for these when they have no body. */
static const char *const methods_with_length[] = {"POST", "PUT", "PATCH"};

static bool is_one_of(struct str method, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (str_eq(method, str_from(list[i])))
			return true;
	}
	return false;
}

/* ---- callbacks of libcurl ---- */

static bool same_endpoint(const struct sockaddr *a, const struct sockaddr_storage *b)
{
	if (a->sa_family != b->ss_family)
		return false;
	if (a->sa_family == AF_INET) {
		struct sockaddr_in x, y;
		memcpy(&x, a, sizeof x);
		memcpy(&y, b, sizeof y);
		return x.sin_port == y.sin_port && x.sin_addr.s_addr == y.sin_addr.s_addr;
	}
	struct sockaddr_in6 x, y;
	memcpy(&x, a, sizeof x);
	memcpy(&y, b, sizeof y);
	return a->sa_family == AF_INET6 && x.sin6_port == y.sin6_port &&
	       memcmp(&x.sin6_addr, &y.sin6_addr, sizeof x.sin6_addr) == 0;
}

/* The last look before a connection: whatever libcurl made of URL and options, only the checked address is dialled. */
static curl_socket_t on_open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *a)
{
	const struct http_transfer *t = context;
	if (purpose != CURLSOCKTYPE_IPCXN || !same_endpoint(&a->addr, &t->address))
		return CURL_SOCKET_BAD;
	return socket(a->family, a->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->protocol);
}

/* TCP stands; the handshake is about to begin. One parsed store serves all connections. */
static CURLcode on_tls_context(CURL *easy, void *ssl_ctx, void *context)
{
	(void)easy;
	struct http_transfer *t = context;
	t->connected = true;
	SSL_CTX_set1_cert_store(ssl_ctx, client_trust(t->client));
	client_handshake_begins(t);
	return CURLE_OK;
}

/* The connection is ready, new or kept; the request goes out next. */
static int on_ready(void *context, char *ip, char *local_ip, int port, int local_port)
{
	(void)ip, (void)local_ip, (void)port, (void)local_port;
	struct http_transfer *t = context;
	t->connected = true;
	client_handshake_ended(t);
	return CURL_PREREQFUNC_OK;
}

/* libcurl has one switch for both directions: who is resumed for the one asks again for the other. */
static size_t pause_transfer(struct http_transfer *t, size_t how)
{
	t->paused = true;
	t->resumed = false;
	return how;
}

static size_t read_stream(struct http_transfer *t, char *out, size_t n)
{
	uint64_t left = t->stream.length - t->request_sent;
	if (left == 0)
		return 0;
	size_t got = t->stream.read(t->context, out, (size_t)MIN(left, (uint64_t)n));
	t->request_sent += got;
	return got > 0 ? got : pause_transfer(t, CURL_READFUNC_PAUSE);
}

static size_t on_read(char *out, size_t size, size_t n, void *context)
{
	struct http_transfer *t = context;
	if (t->is_stream)
		return read_stream(t, out, size * n);
	size_t left = t->request_body.n - t->request_sent;
	size_t take = MIN(size * n, left);
	if (take > 0)
		memcpy(out, t->request_body.p + t->request_sent, take);
	t->request_sent += take;
	return take;
}

/* Called when libcurl wants to send the body again, over a fresh connection after a kept one broke. */
static int on_seek(void *context, curl_off_t offset, int origin)
{
	struct http_transfer *t = context;
	if (t->is_stream) /* what was read is gone */
		return origin == SEEK_SET && offset == 0 && t->request_sent == 0 ? CURL_SEEKFUNC_OK
										 : CURL_SEEKFUNC_FAIL;
	if (!t->repeatable || origin != SEEK_SET || offset < 0 || (size_t)offset > t->request_body.n)
		return CURL_SEEKFUNC_FAIL;
	t->request_sent = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* "HTTP/1.1 200 OK", "HTTP/2 200": three digits after the first blank. */
static int status_of_line(struct str line)
{
	struct str head, rest = str_cut(line, ' ', &head);
	uint64_t status;
	return str_to_u64(str_slice(rest, 0, 3), 999, &status) ? (int)status : 0;
}

/* Whether each element of a comma-separated list of codings is permitted; counts those that stand for work. */
static bool codings_fit(struct str list, const char *const *permitted, size_t n, unsigned *ret_count)
{
	while (list.n > 0) {
		struct str item;
		list = str_cut(list, ',', &item);
		item = str_trim(item);
		if (item.n == 0 || str_eq_fold(item, S("identity")))
			continue;
		bool known = false;
		for (size_t i = 0; i < n; i++)
			known = known || str_eq_fold(item, str_from(permitted[i]));
		if (!known)
			return false;
		++*ret_count;
	}
	return true;
}

/*
 * libcurl undoes whatever coding an answer names and it knows, up to five on top of one another, asked for or not, in
 * one go: kilobytes that become nothing by way of gigabytes. So each line is judged as it comes, which is before the
 * body, in interim answers too.
 */
static bool coding_fits(struct http_transfer *t, struct str line)
{
	static const char *const gzip[] = {"gzip", "x-gzip"}, *const chunked[] = {"chunked"};
	struct str name, value = str_cut(line, ':', &name);
	unsigned n_transfer = 0;
	if (str_eq_fold(name, S("Transfer-Encoding")))
		return codings_fit(value, chunked, ARRAY_LEN(chunked), &n_transfer) && n_transfer <= 1;
	if (t->coding == HTTP_CODING_ANY || !str_eq_fold(name, S("Content-Encoding")))
		return true;
	return codings_fit(value, gzip, ARRAY_LEN(gzip), &t->n_codings) &&
	       t->n_codings <= (t->coding == HTTP_CODING_GZIP ? 1 : 0);
}

static size_t on_header(char *p, size_t size, size_t n, void *context)
{
	struct http_transfer *t = context;
	struct str line = str_of(p, size * n);
	t->headers_seen += line.n;
	if (t->headers_seen > t->headers_max) {
		t->headers_too_large = true;
		return 0;
	}
	if (!coding_fits(t, line)) {
		t->coding_refused = true;
		return 0;
	}
	if (t->head_done) /* trailers are counted and dropped */
		return line.n;
	if (!t->mid_head) {
		t->mid_head = true;
		t->line_status = status_of_line(line);
		buf_clear(&t->headers);
	} else if (str_blank(line)) {
		t->mid_head = false;
		t->head_done = t->line_status >= 200; /* an interim answer is followed by another head */
		if (t->head_done && t->is_stream)
			t->stream.head(t->context, t->line_status, buf_str(&t->headers));
	} else {
		buf_add_str(&t->headers, line);
	}
	return line.n;
}

static size_t on_body(char *p, size_t size, size_t n, void *context)
{
	struct http_transfer *t = context;
	size_t bytes = size * n;
	if (t->is_stream)
		return t->stream.piece(t->context, str_of(p, bytes)) ? bytes : pause_transfer(t, CURL_WRITEFUNC_PAUSE);
	if (client_must_pause(t)) {
		t->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	buf_add(&t->body, p, bytes);
	if (!buf_ok(&t->body)) {
		t->body_too_large = true;
		return 0;
	}
	client_received(t, bytes);
	return bytes;
}

/* ---- options ---- */

static bool has_header(const struct http_call *call, struct str name)
{
	for (size_t i = 0; i < call->n_headers; i++) {
		struct str head;
		str_cut(str_from(call->headers[i]), ':', &head);
		if (str_eq_fold(head, name))
			return true;
	}
	return false;
}

/* "Name;" is how libcurl is told to send a header without a value; "Name:" would remove it. */
static char *line_without_value(const char *line)
{
	struct str name, value = str_cut(str_from(line), ':', &name);
	return str_blank(value) ? xasprintf("%.*s;", STR_FMT(name)) : NULL;
}

/*
 * The list that libcurl walks when it builds the request. Its nodes are ours and point at the caller's lines, so that a
 * line with a secret is not copied once more; libcurl does not change what it is given here. The last three take out
 * what libcurl adds of its own accord.
 */
static void make_lines(struct http_transfer *t, const struct http_call *call, bool sends_body)
{
	static char no_expect[] = "Expect:", no_accept[] = "Accept:", no_type[] = "Content-Type:";
	t->lines = xcalloc(call->n_headers + 3, sizeof *t->lines);
	t->spare = xcalloc(call->n_headers + 1, sizeof *t->spare);
	size_t n = 0, spares = 0;
	for (size_t i = 0; i < call->n_headers; i++) {
		char *own = line_without_value(call->headers[i]);
		if (own != NULL)
			t->spare[spares++] = own;
		union {
			const char *given;
			char *curl;
		} line = {.given = own != NULL ? own : call->headers[i]};
		t->lines[n++].data = line.curl;
	}
	t->lines[n++].data = no_expect;
	if (!has_header(call, S("Accept")))
		t->lines[n++].data = no_accept;
	if (sends_body && !has_header(call, S("Content-Type")))
		t->lines[n++].data = no_type;
	for (size_t i = 0; i + 1 < n; i++)
		t->lines[i].next = &t->lines[i + 1];
}

/* "::ADDRESS:PORT" of CURLOPT_CONNECT_TO: whatever the URL's host, connect there. Host, SNI and check stay the URL's. */
static struct curl_slist *make_dial(const struct sockaddr_storage *address)
{
	char text[INET6_ADDRSTRLEN] = "";
	AUTO_FREE char *line = NULL;
	if (address->ss_family == AF_INET) {
		struct sockaddr_in v4;
		memcpy(&v4, address, sizeof v4);
		inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
		line = xasprintf("::%s:%u", text, ntohs(v4.sin_port));
	} else {
		struct sockaddr_in6 v6;
		memcpy(&v6, address, sizeof v6);
		inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
		line = xasprintf("::[%s]:%u", text, ntohs(v6.sin6_port));
	}
	return curl_slist_append(NULL, line);
}

/* Sets an option and remembers whether any was refused. */
#define SET(option, ...) (rc = rc != CURLE_OK ? rc : curl_easy_setopt(t->easy, (option), __VA_ARGS__))

/* What holds for every request: nothing from the environment, nothing remembered, nothing followed. */
static CURLcode set_rules(struct http_transfer *t)
{
	CURLcode rc = CURLE_OK;
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NOPROXY, "*");
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	SET(CURLOPT_PATH_AS_IS, 1L); /* what was signed is what is sent */
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	SET(CURLOPT_HTTP09_ALLOWED, 0L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_CAINFO, NULL); /* the store of on_tls_context() instead */
	SET(CURLOPT_CAPATH, NULL);
	SET(CURLOPT_TCP_NODELAY, 1L);
	return rc;
}

static CURLcode set_callbacks(struct http_transfer *t)
{
	CURLcode rc = CURLE_OK;
	SET(CURLOPT_PRIVATE, t);
	SET(CURLOPT_ERRORBUFFER, t->error);
	SET(CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	SET(CURLOPT_OPENSOCKETDATA, t);
	SET(CURLOPT_SSL_CTX_FUNCTION, on_tls_context);
	SET(CURLOPT_SSL_CTX_DATA, t);
	SET(CURLOPT_PREREQFUNCTION, on_ready);
	SET(CURLOPT_PREREQDATA, t);
	SET(CURLOPT_READFUNCTION, on_read);
	SET(CURLOPT_READDATA, t);
	SET(CURLOPT_SEEKFUNCTION, on_seek);
	SET(CURLOPT_SEEKDATA, t);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, t);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, t);
	return rc;
}

/* Path and query as written; of a URL with both host and path. */
static const char *target_of(const char *url)
{
	const char *host = strstr(url, "://");
	const char *target = host != NULL ? strchr(host + 3, '/') : NULL;
	return target != NULL ? target : "/";
}

static CURLcode set_request(struct http_transfer *t, const struct http_call *call)
{
	CURLcode rc = CURLE_OK;
	AUTO_FREE char *url = str_dup(call->url);
	AUTO_FREE char *method = str_dup(call->method);
	bool head = str_eq(call->method, S("HEAD"));
	bool sends_length = is_one_of(call->method, methods_with_length, ARRAY_LEN(methods_with_length));
	uint64_t body_n = t->is_stream ? t->stream.length : call->body.n;
	bool sends_body = !head && (body_n > 0 || sends_length);

	SET(CURLOPT_URL, url);
	SET(CURLOPT_CONNECT_TO, t->dial);
	if (head) {
		SET(CURLOPT_NOBODY, 1L);
	} else if (sends_body) {
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body_n);
		if (body_n == 0)
			SET(CURLOPT_POSTFIELDS, "");
	} else {
		SET(CURLOPT_HTTPGET, 1L);
	}
	SET(CURLOPT_CUSTOMREQUEST, method);
	/* Without a body to be asked for again, on_seek() cannot veto a second sending over a kept connection. */
	if (!t->repeatable && body_n == 0)
		SET(CURLOPT_FRESH_CONNECT, 1L);
	static const char *const asked[] = {[HTTP_CODING_GZIP] = "gzip", [HTTP_CODING_NONE] = "identity"};
	make_lines(t, call, sends_body);
	SET(CURLOPT_HTTPHEADER, t->lines);
	if (t->is_stream) {
		SET(CURLOPT_REQUEST_TARGET, target_of(url)); /* libcurl leaves out a '?' that nothing follows */
		SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
		SET(CURLOPT_TCP_KEEPALIVE, 1L); /* it may say nothing for long, and has no deadline */
	} else {
		SET(CURLOPT_ACCEPT_ENCODING, asked[call->coding]);
	}
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)MIN(call->connect_ms, (uint64_t)INT32_MAX));
	SET(CURLOPT_TIMEOUT_MS, (long)MIN(call->total_ms, (uint64_t)INT32_MAX));
	return rc;
}
#undef SET

struct http_transfer *transfer_new(struct http_client *client, const struct http_call *call, struct err *err)
{
	struct http_transfer *t = NEW(struct http_transfer);
	t->client = client;
	t->done = call->done;
	t->context = call->context;
	t->address = *call->address;
	t->peer = str_dup(call->peer);
	t->request_body = call->body;
	t->is_stream = call->stream != NULL;
	if (t->is_stream)
		t->stream = *call->stream;
	t->repeatable = is_one_of(call->method, idempotent_methods, ARRAY_LEN(idempotent_methods));
	t->headers_max = call->headers_max;
	t->coding = call->coding;
	buf_init(&t->headers, call->headers_max);
	t->body = call->sensitive ? BUF_INIT_SECRET(call->body_max) : BUF_INIT(call->body_max);
	t->dial = make_dial(call->address);
	t->easy = curl_easy_init();

	CURLcode rc = t->easy == NULL || t->dial == NULL ? CURLE_OUT_OF_MEMORY : set_rules(t);
	if (rc == CURLE_OK)
		rc = set_callbacks(t);
	if (rc == CURLE_OK)
		rc = set_request(t, call);
	if (rc != CURLE_OK) {
		fail(err, ERR_INTERNAL, "cannot prepare a request: %s", curl_easy_strerror(rc));
		transfer_free(t);
		return NULL;
	}
	return t;
}

void transfer_free(struct http_transfer *t)
{
	if (t == NULL)
		return;
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->dial);
	for (char **line = t->spare; line != NULL && *line != NULL; line++)
		free(*line);
	free(t->spare);
	free(t->lines);
	free(t->peer);
	buf_release(&t->headers);
	buf_release(&t->body);
	free(t);
}

/* ---- the end ---- */

struct failure {
	CURLcode code;
	const char *before, *after; /* around the quoted peer */
	bool detail;                /* what libcurl says is worth adding */
};

static const struct failure failures[] = {
	{CURLE_COULDNT_CONNECT, "cannot connect to", "", true},
	{CURLE_OPERATION_TIMEDOUT, "no answer in time from", "", false},
	{CURLE_PEER_FAILED_VERIFICATION, "the certificate of", " is not trusted", true},
	{CURLE_SSL_CONNECT_ERROR, "the TLS handshake with", " failed", true},
	{CURLE_SEND_ERROR, "the connection to", " broke while sending", true},
	{CURLE_RECV_ERROR, "the connection to", " broke while reading", true},
	{CURLE_SEND_FAIL_REWIND, "the connection to", " broke after the request was sent, and it is not sent twice",
	 false},
	{CURLE_GOT_NOTHING, "no answer from", ", which closed the connection", false},
	{CURLE_PARTIAL_FILE, "the answer of", " ended early", true},
	{CURLE_BAD_CONTENT_ENCODING, "the answer of", " cannot be decompressed", true},
	{CURLE_WEIRD_SERVER_REPLY, "the answer of", " is not HTTP", true},
	{CURLE_UNSUPPORTED_PROTOCOL, "the answer of", " is not HTTP", true},
	{CURLE_HTTP2, "HTTP/2 with", " failed", true},
	{CURLE_HTTP2_STREAM, "HTTP/2 with", " failed", true},
	{CURLE_URL_MALFORMAT, "the URL cannot be used with", "", true},
};
static const struct failure failure_other = {CURLE_OK, "the transfer with", " failed", true};

static void describe(const struct http_transfer *t, CURLcode code, struct err *err)
{
	const struct failure *row = &failure_other;
	for (size_t i = 0; i < ARRAY_LEN(failures); i++)
		row = failures[i].code == code ? &failures[i] : row;

	const char *said = t->error[0] != '\0' ? t->error : curl_easy_strerror(code);
	char reason[128];
	long os_errno = 0;
	curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
	if (code == CURLE_COULDNT_CONNECT && os_errno != 0)
		said = strerror_r((int)os_errno, reason, sizeof reason);

	AUTO_BUF detail = BUF_INIT(8 * CURL_ERROR_SIZE);
	if (row->detail) {
		buf_add_z(&detail, ": ");
		escape_visible(&detail, str_from(said));
	}
	fail(err, ERR_NETWORK_ERROR, "%s '%s'%s%s", row->before, t->peer, row->after, detail.p);
}

static int version_of(CURL *easy)
{
	long version = CURL_HTTP_VERSION_NONE;
	curl_easy_getinfo(easy, CURLINFO_HTTP_VERSION, &version);
	switch (version) {
	case CURL_HTTP_VERSION_1_0:
		return 10;
	case CURL_HTTP_VERSION_1_1:
		return 11;
	case CURL_HTTP_VERSION_2_0:
		return 20;
	default:
		return 0;
	}
}

void transfer_answer(struct http_transfer *t, CURLcode code, struct http_answer *ret)
{
	long connects = 0, request_bytes = 0;
	curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &connects);
	curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
	*ret = (struct http_answer){.status = t->head_done ? t->line_status : 0,
				    .headers = buf_str(&t->headers),
				    .http_version = version_of(t->easy),
				    .reused = t->connected && connects == 0};
	if (code == CURLE_OK && t->head_done) {
		ret->end = HTTP_ANSWERED;
		ret->body = t->body;
		t->body = BUF_INIT(0);
		return;
	}
	if (t->body_too_large) {
		ret->end = HTTP_BODY_TOO_LARGE;
		return;
	}
	ret->unsent = request_bytes == 0;
	bool unreachable = !t->connected && (code == CURLE_COULDNT_CONNECT || code == CURLE_OPERATION_TIMEDOUT);
	ret->end = unreachable ? HTTP_UNREACHABLE : HTTP_FAILED;
	if (t->headers_too_large)
		fail(&ret->err, ERR_NETWORK_ERROR, "the headers from '%s' are larger than %zu bytes", t->peer,
		     t->headers_max);
	else if (t->coding_refused)
		fail(&ret->err, ERR_NETWORK_ERROR, "the answer of '%s' has a coding that was not asked for", t->peer);
	else if (code == CURLE_OPERATION_TIMEDOUT && t->handshake != NULL)
		fail(&ret->err, ERR_NETWORK_ERROR, "the TLS handshake with '%s' took too long", t->peer);
	else
		describe(t, code == CURLE_OK ? CURLE_WEIRD_SERVER_REPLY : code, &ret->err);
}

bool http_answer_header(const struct http_answer *answer, struct str name, struct str *ret_value)
{
	struct str rest = answer->headers;
	while (rest.n > 0) {
		struct str line, head;
		rest = str_cut(rest, '\n', &line);
		struct str value = str_cut(line, ':', &head);
		if (head.n < line.n && str_eq_fold(head, name)) {
			*ret_value = str_trim(value);
			return true;
		}
	}
	return false;
}
