/*
 * http_server: a small HTTP and HTTPS server for tests, hostile on request
 *
 * Listens on 127.0.0.1 on a port of the kernel's choice, a thread a connection, every byte of an answer under the test's
 * control. What it does is named by the path of the request:
 *
 *     /hello               200 "hello"
 *     /echo                200, the request's head as it came
 *     /body                200, the request's body
 *     /status/404          that status, body "status 404"
 *     /redirect/302/URL    that status, Location: URL (the rest of the path and query)
 *     /loop                302 to itself
 *     /nolocation          302 without Location
 *     /gzip                200, "hello" compressed
 *     /twice               200, Content-Encoding: gzip, gzip
 *     /twolines            200, Content-Encoding: gzip in two lines
 *     /deflate             200, Content-Encoding: deflate
 *     /identity            200, Content-Encoding: identity, "hello"
 *     /tegzip              200, Transfer-Encoding: gzip, chunked
 *     /bomb                200, gzip without end: 1 byte becomes 158
 *     /burst               200, gzip, 13 KB that become 2 MiB at once, and then nothing until the client gives up
 *     /badgzip             200, Content-Encoding: gzip and a body that is not
 *     /big/N               200, N bytes 'x', Content-Length
 *     /half/N              200, N bytes 'x' of 2 N, and then nothing until the client gives up
 *     /endless             200, chunks without end
 *     /headers             200, header lines without end
 *     /interim             interim answers without end
 *     /early               103, then 200 "early"
 *     /badchunk            200, a chunk length that is no number
 *     /truncated           200, Content-Length 100 and ten bytes
 *     /drip                200, one byte every few milliseconds, without end
 *     /given               what server_give() said last
 *     /hang                no answer; waits until the client gives up
 *     /close               no answer; closes
 *     /garbage             bytes that are not HTTP
 *     /trailer             200 "trailed", chunked, with a trailer Location
 *     /once                200 "once", then closes the connection without saying so before
 *     /dropsecond          200 for the first request of a connection; the second is read and the connection closed
 *
 * One certificate authority a process, made at the first use; leaves are for localhost, api.test, other.test and 127.0.0.1 (and a
 * second leaf, for SERVER_WRONG_NAME, for other.invalid; the one of SERVER_ODD_ISSUER spells its issuer in capitals).
 */
#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum server_kind { SERVER_PLAIN, SERVER_TLS, SERVER_WRONG_NAME, SERVER_ODD_ISSUER };

struct server {
	enum server_kind kind;
	int listener;
	uint16_t port;
	SSL_CTX *tls;
	pthread_t thread;
	atomic_int connections, requests, live;
	pthread_mutex_t lock;
	char last_head[1 << 16]; /* the newest request's, NUL-terminated */
	char last_body[1 << 16]; /* the same; cut */
	int given_status;
	char given[1 << 16];
	int open_fds[256]; /* of live connections, to be shut down at the end */
};

struct served {
	struct server *server;
	int fd;
	SSL *ssl;
	char *in;
	size_t in_n, in_room;
	char *head; /* NUL-terminated, ends in the blank line */
	char *body;
	size_t body_n;
	char method[32];
	char *path; /* with query */
	int nth;    /* request on this connection, from 1 */
	bool close;
};

/* ---- certificates ---- */

static EVP_PKEY *server_ca_key;
static X509 *server_ca;

static inline void server_name_entry(X509_NAME *name, const char *common_name)
{
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1, -1, 0);
}

static inline void server_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	X509_add_ext(x, extension, -1);
	X509_EXTENSION_free(extension);
}

/* names NULL = the authority itself; issuer NULL = the authority's name as it spells it. */
static inline X509 *server_certificate(EVP_PKEY *key, const char *common_name, const char *names,
				       const char *issuer_name)
{
	static long serial = 1;
	X509 *x = X509_new();
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_set_pubkey(x, key);
	server_name_entry(X509_get_subject_name(x), common_name);
	X509 *issuer = server_ca != NULL ? server_ca : x;
	if (issuer_name == NULL)
		X509_set_issuer_name(x, X509_get_subject_name(issuer));
	else
		server_name_entry(X509_get_issuer_name(x), issuer_name);
	server_extension(x, issuer, NID_basic_constraints, names == NULL ? "critical,CA:TRUE" : "CA:FALSE");
	server_extension(x, issuer, NID_subject_key_identifier, "hash");
	if (names != NULL)
		server_extension(x, issuer, NID_subject_alt_name, names);
	X509_sign(x, server_ca != NULL ? server_ca_key : key, EVP_sha256());
	return x;
}

static inline void server_make_ca(void)
{
	if (server_ca != NULL)
		return;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *ca = server_certificate(key, "aileron test authority", NULL, NULL);
	server_ca_key = key;
	server_ca = ca;
}

/* The authority as a descriptor of a PEM file in memory. */
static inline int server_ca_fd(void)
{
	server_make_ca();
	int fd = memfd_create("ca.pem", MFD_CLOEXEC);
	BIO *bio = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(bio, server_ca);
	char *pem;
	long n = BIO_get_mem_data(bio, &pem);
	if (fd < 0 || write(fd, pem, (size_t)n) != n)
		abort();
	BIO_free(bio);
	return fd;
}

static inline int server_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in,
			      unsigned in_n, void *arg)
{
	(void)ssl, (void)arg;
	static const unsigned char ours[] = "\x08http/1.1";
	union {
		const unsigned char **out;
		unsigned char **plain;
	} u = {.out = out};
	return SSL_select_next_proto(u.plain, out_n, ours, sizeof ours - 1, in, in_n) == OPENSSL_NPN_NEGOTIATED
		       ? SSL_TLSEXT_ERR_OK
		       : SSL_TLSEXT_ERR_NOACK;
}

static inline SSL_CTX *server_tls(enum server_kind kind)
{
	server_make_ca();
	EVP_PKEY *key = EVP_EC_gen("P-256");
	bool wrong = kind == SERVER_WRONG_NAME;
	const char *names = wrong ? "DNS:other.invalid" : "DNS:localhost,DNS:api.test,DNS:other.test,IP:127.0.0.1";
	const char *issuer = kind == SERVER_ODD_ISSUER ? "AILERON  Test Authority" : NULL;
	X509 *leaf = server_certificate(key, wrong ? "other.invalid" : "localhost", names, issuer);
	SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
	SSL_CTX_use_certificate(tls, leaf);
	SSL_CTX_use_PrivateKey(tls, key);
	SSL_CTX_set_alpn_select_cb(tls, server_alpn, NULL);
	X509_free(leaf);
	EVP_PKEY_free(key);
	return tls;
}

/* ---- one connection ---- */

static inline bool served_send(struct served *s, const void *bytes, size_t n)
{
	const char *p = bytes;
	while (n > 0) {
		ssize_t sent;
		if (s->ssl != NULL)
			sent = SSL_write(s->ssl, p, n > 1 << 20 ? 1 << 20 : (int)n);
		else
			sent = send(s->fd, p, n, MSG_NOSIGNAL);
		if (sent <= 0)
			return false;
		p += sent;
		n -= (size_t)sent;
	}
	return true;
}

static inline bool served_say(struct served *s, const char *text)
{
	return served_send(s, text, strlen(text));
}

__attribute__((format(printf, 2, 3))) static inline bool served_sayf(struct served *s, const char *fmt, ...)
{
	char line[1 << 12];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	return served_say(s, line);
}

static inline bool served_answer(struct served *s, int status, const void *body, size_t n)
{
	return served_sayf(s, "HTTP/1.1 %d Whatever\r\nContent-Length: %zu\r\n\r\n", status, n) &&
	       served_send(s, body, n);
}

/* More bytes into s->in; false at the end. */
static inline bool served_read(struct served *s)
{
	if (s->in_room - s->in_n < 65536) {
		s->in_room = 2 * s->in_room + 65536;
		s->in = realloc(s->in, s->in_room + 1);
	}
	ssize_t got =
		s->ssl != NULL ? SSL_read(s->ssl, s->in + s->in_n, 65536) : recv(s->fd, s->in + s->in_n, 65536, 0);
	if (got <= 0)
		return false;
	s->in_n += (size_t)got;
	s->in[s->in_n] = '\0';
	if (s->in[0] == 0x16) { /* TLS where none is spoken: what servers say then */
		served_say(s, "HTTP/1.1 400 Bad Request\r\n\r\n");
		return false;
	}
	return true;
}

static inline size_t served_length(const char *head)
{
	const char *at = strcasestr(head, "\r\nContent-Length:");
	size_t n = 0;
	if (at == NULL)
		return 0;
	for (at += strlen("\r\nContent-Length:"); *at == ' '; at++)
		;
	for (; *at >= '0' && *at <= '9'; at++)
		n = 10 * n + (size_t)(*at - '0');
	return n;
}

/* The next request in full, kept until the one after it. */
static inline bool served_request(struct served *s)
{
	char *end;
	while (s->in_n == 0 || (end = strstr(s->in, "\r\n\r\n")) == NULL) {
		if (!served_read(s))
			return false;
	}
	size_t head_n = (size_t)(end - s->in) + 4;
	char saved = s->in[head_n];
	s->in[head_n] = '\0';
	size_t body_n = served_length(s->in);
	s->in[head_n] = saved;
	while (s->in_n < head_n + body_n) {
		if (!served_read(s))
			return false;
	}
	free(s->head);
	free(s->body);
	free(s->path);
	s->head = strndup(s->in, head_n);
	s->body = malloc(body_n + 1);
	memcpy(s->body, s->in + head_n, body_n);
	s->body[body_n] = '\0';
	s->body_n = body_n;
	memmove(s->in, s->in + head_n + body_n, s->in_n - head_n - body_n + 1);
	s->in_n -= head_n + body_n;

	const char *space = strchr(s->head, ' ');
	const char *path_end = strchr(space + 1, ' ');
	snprintf(s->method, sizeof s->method, "%.*s", (int)(space - s->head), s->head);
	s->path = strndup(space + 1, (size_t)(path_end - space - 1));
	s->nth++;
	pthread_mutex_lock(&s->server->lock);
	snprintf(s->server->last_head, sizeof s->server->last_head, "%s", s->head);
	size_t kept = s->body_n < sizeof s->server->last_body ? s->body_n : sizeof s->server->last_body - 1;
	if (kept > 0)
		memcpy(s->server->last_body, s->body, kept);
	s->server->last_body[kept] = '\0';
	pthread_mutex_unlock(&s->server->lock);
	atomic_fetch_add(&s->server->requests, 1);
	return true;
}

/* ---- the answers ---- */

static const unsigned char gzip_hello[] = {0x1f, 0x8b, 8,    0,    0,    0,   0,   0,   0,   3,   /* header */
					   1,    5,    0,    0xfa, 0xff, 'h', 'e', 'l', 'l', 'o', /* a stored block */
					   0x86, 0xa6, 0x10, 0x36, 5,    0,   0,   0};            /* CRC-32, length */

/*
 * Deflate with the fixed code: one literal zero, then for ever "258 bytes from 1 back", which is 8 bits of length and 5
 * of distance. Eight of those are 13 bytes, so after the first bits the stream repeats.
 */
static inline void serve_bomb(struct served *s, bool once)
{
	static const unsigned char head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
	unsigned char stream[13 * 5041];
	unsigned bit = 0;
#define PUT(value, bits)                                                                                               \
	for (int i_ = (bits)-1; i_ >= 0; i_--, bit++)                                                                  \
	stream[bit / 8] = (unsigned char)(stream[bit / 8] | ((((value) >> i_) & 1) << (bit % 8)))
	memset(stream, 0, sizeof stream);
	PUT(0x2, 3);  /* not the last block (0), fixed code (01, low bit first: 1 then 0) */
	PUT(0x30, 8); /* literal 0 */
	while (bit + 13 <= 8 * sizeof stream)
		PUT(0xc5 << 5, 13);
#undef PUT
	served_say(s, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n");
	served_send(s, head, sizeof head);
	size_t first = once ? 13 * 1000 : 13 * 16;
	if (!served_send(s, stream, first) || once)
		return;
	while (served_send(s, stream + 13, 13 * 5000)) /* the same phase: whole periods further on */
		;
}

static inline void serve_forever(struct served *s, const char *head, const char *piece)
{
	if (!served_say(s, head))
		return;
	while (served_say(s, piece))
		;
}

static inline void serve_drip(struct served *s)
{
	served_say(s, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
	struct pollfd gone = {.fd = s->fd, .events = POLLIN};
	while (poll(&gone, 1, 5) == 0 && served_say(s, "x"))
		;
}

static inline void serve_big(struct served *s, size_t n, size_t promised)
{
	char xs[1 << 16];
	memset(xs, 'x', sizeof xs);
	if (!served_sayf(s, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", promised))
		return;
	for (size_t left = n; left > 0;) {
		size_t piece = left < sizeof xs ? left : sizeof xs;
		if (!served_send(s, xs, piece))
			return;
		left -= piece;
	}
}

static inline bool served_is(struct served *s, const char *path)
{
	return strcmp(s->path, path) == 0;
}

static inline size_t served_number(const char *digits)
{
	size_t n = 0;
	for (; *digits >= '0' && *digits <= '9'; digits++)
		n = 10 * n + (size_t)(*digits - '0');
	return n;
}

static inline void serve_given(struct served *s)
{
	pthread_mutex_lock(&s->server->lock);
	int status = s->server->given_status;
	char *body = strdup(s->server->given);
	pthread_mutex_unlock(&s->server->lock);
	served_answer(s, status, body, strlen(body));
	free(body);
}

static inline void serve_normal(struct served *s)
{
	if (served_is(s, "/given")) {
		serve_given(s);
		return;
	}
	if (served_is(s, "/echo") || strncmp(s->path, "/echo?", 6) == 0)
		served_answer(s, 200, s->head, strlen(s->head));
	else if (served_is(s, "/body"))
		served_answer(s, 200, s->body, s->body_n);
	else if (strncmp(s->path, "/status/", 8) == 0) {
		char body[64];
		int n = snprintf(body, sizeof body, "status %zu", served_number(s->path + 8));
		served_answer(s, (int)served_number(s->path + 8), body, (size_t)n);
	} else if (strncmp(s->path, "/redirect/", 10) == 0)
		served_sayf(s, "HTTP/1.1 %zu Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
			    served_number(s->path + 10), s->path + 14);
	else if (strncmp(s->path, "/big/", 5) == 0)
		serve_big(s, served_number(s->path + 5), served_number(s->path + 5));
	else if (strcmp(s->method, "HEAD") == 0)
		served_say(s, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
	else
		served_answer(s, 200, "hello", 5);
}

/* Whole answers that are nothing but bytes; then the connection closes. */
static const struct {
	const char *path, *answer;
} served_texts[] = {
	{"/nolocation", "HTTP/1.1 302 Found\r\nContent-Length: 4\r\n\r\nhere"},
	{"/loop", "HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n"},
	{"/early", "HTTP/1.1 103 Early\r\nLocation: /no\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly"},
	{"/badchunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZZ\r\nhello\r\n"},
	{"/truncated", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789"},
	{"/badgzip", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 10\r\n\r\n0123456789"},
	{"/close", ""},
	{"/twice", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\nContent-Length: 5\r\n\r\nhello"},
	{"/twolines", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n"
		      "\r\nhello"},
	{"/deflate", "HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: 5\r\n\r\nhello"},
	{"/identity", "HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello"},
	{"/tegzip", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
	{"/garbage", "\x01\x02 this is not HTTP\r\n\r\n"},
	{"/trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\ntrailed\r\n0\r\nLocation: /no\r\n\r\n"},
	{"/once", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nonce"},
};

static inline bool serve_text(struct served *s)
{
	for (size_t i = 0; i < sizeof served_texts / sizeof served_texts[0]; i++) {
		if (served_is(s, served_texts[i].path)) {
			served_say(s, served_texts[i].answer);
			s->close = true;
			return true;
		}
	}
	return false;
}

static inline void serve_one(struct served *s)
{
	char kilo[1200], chunk[1200];
	snprintf(kilo, sizeof kilo, "X-Long: %01000d\r\n", 0);
	snprintf(chunk, sizeof chunk, "400\r\n%01024d\r\n", 0);
	if (serve_text(s))
		return;
	s->close = true;
	if (served_is(s, "/gzip")) {
		served_sayf(s, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
			    sizeof gzip_hello);
		served_send(s, gzip_hello, sizeof gzip_hello);
	} else if (served_is(s, "/bomb")) {
		serve_bomb(s, false);
	} else if (served_is(s, "/burst")) {
		serve_bomb(s, true);
		while (served_read(s))
			;
	} else if (served_is(s, "/endless")) {
		serve_forever(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunk);
	} else if (served_is(s, "/headers")) {
		serve_forever(s, "HTTP/1.1 200 OK\r\n", kilo);
	} else if (served_is(s, "/interim")) {
		serve_forever(s, "", "HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n");
	} else if (served_is(s, "/drip")) {
		serve_drip(s);
	} else if (strncmp(s->path, "/half/", 6) == 0) {
		serve_big(s, served_number(s->path + 6), 2 * served_number(s->path + 6));
		while (served_read(s))
			;
	} else if (served_is(s, "/hang")) {
		while (served_read(s))
			;
	} else if (!(served_is(s, "/dropsecond") && s->nth > 1)) {
		s->close = false;
		serve_normal(s);
	}
}

static inline void *serve_connection(void *arg)
{
	struct served *s = arg;
	struct server *server = s->server;
	bool ready = true;
	if (server->tls != NULL) {
		s->ssl = SSL_new(server->tls);
		SSL_set_fd(s->ssl, s->fd);
		ready = SSL_accept(s->ssl) == 1;
	}
	while (ready && !s->close && served_request(s))
		serve_one(s);
	if (s->ssl != NULL) {
		if (ready)
			SSL_shutdown(s->ssl);
		SSL_free(s->ssl);
	}
	pthread_mutex_lock(&server->lock);
	for (size_t i = 0; i < 256; i++) {
		if (server->open_fds[i] == s->fd)
			server->open_fds[i] = -1;
	}
	pthread_mutex_unlock(&server->lock);
	close(s->fd);
	free(s->in);
	free(s->head);
	free(s->body);
	free(s->path);
	free(s);
	atomic_fetch_sub(&server->live, 1);
	return NULL;
}

/* ---- the server ---- */

static inline void *server_main(void *arg)
{
	struct server *server = arg;
	for (;;) {
		int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return NULL; /* shut down */
		int on = 1;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		struct served *s = calloc(1, sizeof *s);
		s->server = server;
		s->fd = fd;
		atomic_fetch_add(&server->connections, 1);
		atomic_fetch_add(&server->live, 1);
		pthread_mutex_lock(&server->lock);
		for (size_t i = 0; i < 256; i++) {
			if (server->open_fds[i] == -1) {
				server->open_fds[i] = fd;
				break;
			}
		}
		pthread_mutex_unlock(&server->lock);
		pthread_t thread;
		pthread_create(&thread, NULL, serve_connection, s);
		pthread_detach(thread);
	}
}

static inline struct server *server_start(enum server_kind kind)
{
	struct server *server = calloc(1, sizeof *server);
	server->kind = kind;
	if (kind != SERVER_PLAIN)
		server->tls = server_tls(kind);
	pthread_mutex_init(&server->lock, NULL);
	memset(server->open_fds, -1, sizeof server->open_fds);
	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;
	if (bind(server->listener, (struct sockaddr *)&a, n) != 0 || listen(server->listener, 128) != 0 ||
	    getsockname(server->listener, (struct sockaddr *)&a, &n) != 0) {
		perror("test server");
		abort();
	}
	server->port = ntohs(a.sin_port);
	pthread_create(&server->thread, NULL, server_main, server);
	return server;
}

static inline void server_stop(struct server *server)
{
	shutdown(server->listener, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->listener);
	while (atomic_load(&server->live) > 0) {
		pthread_mutex_lock(&server->lock);
		for (size_t i = 0; i < 256; i++) {
			if (server->open_fds[i] >= 0)
				shutdown(server->open_fds[i], SHUT_RDWR);
		}
		pthread_mutex_unlock(&server->lock);
		sched_yield();
	}
	SSL_CTX_free(server->tls);
	pthread_mutex_destroy(&server->lock);
	free(server);
}

/* A copy of the newest request's head, for free(). */
static inline char *server_last_head(struct server *server)
{
	pthread_mutex_lock(&server->lock);
	char *copy = strdup(server->last_head);
	pthread_mutex_unlock(&server->lock);
	return copy;
}

static inline char *server_last_body(struct server *server)
{
	pthread_mutex_lock(&server->lock);
	char *copy = strdup(server->last_body);
	pthread_mutex_unlock(&server->lock);
	return copy;
}

static inline void server_give(struct server *server, int status, const char *body)
{
	pthread_mutex_lock(&server->lock);
	server->given_status = status;
	snprintf(server->given, sizeof server->given, "%s", body);
	pthread_mutex_unlock(&server->lock);
}

static inline struct sockaddr_storage server_address(const struct server *server)
{
	struct sockaddr_storage storage = {0};
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(server->port)};
	memcpy(&storage, &a, sizeof a);
	return storage;
}
