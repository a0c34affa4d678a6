#include "http/trust.h"
#include "base/buf.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/asn1.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>

/* A certificate of the bundle: where its DER lies, and its subject within that. */
struct authority {
	size_t at, n;
	size_t subject_at, subject_n;
	X509_NAME *subject; /* NULL until names had to be compared by meaning */
	bool parsed;        /* it lies in the store now, or cannot be parsed at all */
};

struct trust {
	X509_STORE *store;
	struct buf der; /* of all of them */
	struct authority *authorities;
	size_t n, room;
};

const char *const trust_system_bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt", /* Debian, Ubuntu, Arch, Alpine */
	"/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
	"/etc/ssl/ca-bundle.pem",             /* openSUSE */
	"/etc/ssl/cert.pem",
	NULL,
};

static struct str der_of(const struct trust *trust, size_t at, size_t n)
{
	return str_of(trust->der.p + at, n);
}

static void load(struct trust *trust, struct authority *a)
{
	if (a->parsed)
		return;
	a->parsed = true;
	struct str der = der_of(trust, a->at, a->n);
	const unsigned char *p = (const unsigned char *)der.p;
	X509 *x = d2i_X509(NULL, &p, (long)der.n);
	if (x != NULL)
		X509_STORE_add_cert(trust->store, x);
	X509_free(x);
}

/* The same name may be spelled in several ways (RFC 5280 7.1: case, blanks, kinds of strings); comparing needs parsing. */
static bool means(const struct trust *trust, struct authority *a, const X509_NAME *name)
{
	if (a->subject == NULL) {
		struct str der = der_of(trust, a->subject_at, a->subject_n);
		const unsigned char *p = (const unsigned char *)der.p;
		a->subject = d2i_X509_NAME(NULL, &p, (long)der.n);
	}
	return a->subject != NULL && X509_NAME_cmp(a->subject, name) == 0;
}

/*
 * Puts every certificate with that subject into the store: several may bear it, renewed and cross-signed roots. Nearly
 * always an issuer is spelled as its certificate spells itself, byte for byte; only otherwise names are parsed.
 */
static void load_subject(struct trust *trust, const X509_NAME *subject)
{
	const unsigned char *bytes;
	size_t n;
	bool found = false;
	if (X509_NAME_get0_der(subject, &bytes, &n) != 1)
		return;
	for (size_t i = 0; i < trust->n; i++) {
		struct authority *a = &trust->authorities[i];
		if (str_eq(der_of(trust, a->subject_at, a->subject_n), str_of(bytes, n))) {
			load(trust, a);
			found = true;
		}
	}
	for (size_t i = 0; i < trust->n && !found; i++) {
		if (means(trust, &trust->authorities[i], subject))
			load(trust, &trust->authorities[i]);
	}
}

static struct trust *trust_of(X509_STORE_CTX *ctx)
{
	return X509_STORE_get_ex_data(X509_STORE_CTX_get0_store(ctx), 0);
}

/* The two questions that a verification asks of its store; each loads what the answer may be and asks the default. */
static int get_issuer(X509 **ret_issuer, X509_STORE_CTX *ctx, X509 *x)
{
	load_subject(trust_of(ctx), X509_get_issuer_name(x));
	return X509_STORE_CTX_get1_issuer(ret_issuer, ctx, x);
}

static STACK_OF(X509) * lookup_certs(X509_STORE_CTX *ctx, const X509_NAME *name)
{
	load_subject(trust_of(ctx), name);
	return X509_STORE_CTX_get1_certs(ctx, name);
}

/* One TLV of DER: 0 and the contents' bounds, or -1. Steps *p over the whole of it when `enter` is false. */
static int der_step(const unsigned char **p, const unsigned char *end, int tag, bool enter)
{
	const unsigned char *at = *p;
	long n;
	int got, class;
	if (at >= end || (ASN1_get_object(&at, &n, &got, &class, end - at) & 0x80) != 0 || got != tag)
		return -1;
	*p = enter ? at : at + n;
	return 0;
}

/* Finds the subject of a certificate without parsing the rest (RFC 5280 4.1), which costs a hundred times as much. */
static int find_subject(struct trust *trust, struct authority *a)
{
	struct str der = der_of(trust, a->at, a->n);
	const unsigned char *start = (const unsigned char *)der.p, *p = start, *end = start + der.n;
	if (der_step(&p, end, V_ASN1_SEQUENCE, true) != 0 || der_step(&p, end, V_ASN1_SEQUENCE, true) != 0)
		return -1;
	if (p < end && *p == 0xa0 && der_step(&p, end, 0, false) != 0) /* [0] version, absent in version 1 */
		return -1;
	if (der_step(&p, end, V_ASN1_INTEGER, false) != 0 ||  /* serial */
	    der_step(&p, end, V_ASN1_SEQUENCE, false) != 0 || /* signature algorithm */
	    der_step(&p, end, V_ASN1_SEQUENCE, false) != 0 || /* issuer */
	    der_step(&p, end, V_ASN1_SEQUENCE, false) != 0)   /* validity */
		return -1;
	const unsigned char *subject = p;
	if (der_step(&p, end, V_ASN1_SEQUENCE, false) != 0)
		return -1;
	a->subject_at = a->at + (size_t)(subject - start);
	a->subject_n = (size_t)(p - subject);
	return 0;
}

static void add_authority(struct trust *trust, struct authority a)
{
	if (trust->n == trust->room) {
		trust->room = trust->room == 0 ? 32 : 2 * trust->room;
		trust->authorities = xrealloc(trust->authorities, trust->room * sizeof *trust->authorities);
	}
	trust->authorities[trust->n++] = a;
}

/* Appends what the base64 of one certificate says. OpenSSL's decoder: a bundle is 200 KB, and the first request waits. */
static int decode(struct trust *trust, struct str lines)
{
	AUTO_BUF text = BUF_INIT(TRUST_BUNDLE_MAX);
	while (lines.n > 0) {
		struct str line;
		lines = str_cut(lines, '\n', &line);
		buf_add_str(&text, str_trim(line));
	}
	size_t padding = str_ends(buf_str(&text), S("==")) ? 2 : (str_ends(buf_str(&text), S("=")) ? 1 : 0);
	char *room = buf_reserve(&trust->der, text.n / 4 * 3 + 3);
	if (room == NULL || text.n % 4 != 0)
		return -1;
	int n = EVP_DecodeBlock((unsigned char *)room, (const unsigned char *)text.p, (int)text.n);
	if (n < (int)padding)
		return -1;
	buf_commit(&trust->der, (size_t)n - padding);
	return 0;
}

static int add_certificate(struct trust *trust, struct str lines, const char *name, struct err *err)
{
	struct authority a = {.at = trust->der.n};
	if (decode(trust, lines) != 0)
		return fail(err, ERR_PARSE_ERROR, "'%s': certificate %zu is not valid base64", name, trust->n + 1);
	a.n = trust->der.n - a.at;
	if (find_subject(trust, &a) != 0)
		return fail(err, ERR_PARSE_ERROR, "'%s': certificate %zu is not valid DER", name, trust->n + 1);
	add_authority(trust, a);
	return 0;
}

/* Blocks of RFC 7468; what stands between them, and blocks of other kinds, are comments to us. */
static int index_bundle(struct trust *trust, struct str pem, const char *name, struct err *err)
{
	static const struct str begin = {"-----BEGIN CERTIFICATE-----", 27}, end = {"-----END CERTIFICATE-----", 25};
	for (size_t at; (at = str_find(pem, begin)) != STR_NPOS;) {
		pem = str_slice(pem, at + begin.n, pem.n);
		size_t n = str_find(pem, end);
		if (n == STR_NPOS)
			return fail(err, ERR_PARSE_ERROR, "'%s': certificate %zu has no end", name, trust->n + 1);
		if (add_certificate(trust, str_slice(pem, 0, n), name, err) != 0)
			return -1;
		pem = str_slice(pem, n + end.n, pem.n);
	}
	if (trust->n == 0)
		return fail(err, ERR_PARSE_ERROR, "'%s' holds no certificate in PEM form", name);
	return 0;
}

struct trust *trust_new(struct str pem, const char *name, struct err *err)
{
	AUTO(trust) *trust = NEW(struct trust);
	trust->der = BUF_INIT(TRUST_BUNDLE_MAX);
	trust->store = X509_STORE_new();
	if (trust->store == NULL)
		abort(); /* out of memory */
	X509_STORE_set_ex_data(trust->store, 0, trust);
	X509_STORE_set_get_issuer(trust->store, get_issuer);
	X509_STORE_set_lookup_certs(trust->store, lookup_certs);
	/* Any certificate of the bundle ends a chain, an intermediate or a service's own too: who listed it meant it. */
	X509_STORE_set_flags(trust->store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
	if (index_bundle(trust, pem, name, err) != 0)
		return NULL;
	return TAKE(trust);
}

struct trust *trust_new_fd(int fd, const char *name, struct err *err)
{
	AUTO_BUF pem = BUF_INIT(TRUST_BUNDLE_MAX);
	for (;;) {
		char *room = buf_reserve(&pem, 64 << 10);
		if (room == NULL) {
			fail(err, ERR_LIMIT, "'%s' is larger than %zu bytes", name, TRUST_BUNDLE_MAX);
			return NULL;
		}
		ssize_t got = pread(fd, room, 64 << 10, (off_t)pem.n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			fail_errno(err, "cannot read '%s'", name);
			return NULL;
		}
		if (got == 0)
			return trust_new(buf_str(&pem), name, err);
		buf_commit(&pem, (size_t)got);
	}
}

struct trust *trust_new_system(struct err *err)
{
	for (size_t i = 0; trust_system_bundles[i] != NULL; i++) {
		AUTO_FD fd = open(trust_system_bundles[i], O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			return trust_new_fd(fd, trust_system_bundles[i], err);
	}
	fail(err, ERR_SYSTEM,
	     "the system has no bundle of certificate authorities, such as '%s': install ca-certificates",
	     trust_system_bundles[0]);
	return NULL;
}

void trust_free(struct trust *trust)
{
	if (trust == NULL)
		return;
	for (size_t i = 0; i < trust->n; i++)
		X509_NAME_free(trust->authorities[i].subject);
	buf_release(&trust->der);
	free(trust->authorities);
	X509_STORE_free(trust->store);
	free(trust);
}

struct x509_store_st *trust_store(struct trust *trust)
{
	return trust->store;
}

size_t trust_size(const struct trust *trust)
{
	return trust->n;
}

size_t trust_parsed(const struct trust *trust)
{
	size_t parsed = 0;
	for (size_t i = 0; i < trust->n; i++)
		parsed += trust->authorities[i].parsed ? 1 : 0;
	return parsed;
}
