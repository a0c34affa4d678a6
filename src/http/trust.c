#include "http/trust.h"
#include "base/buf.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>

struct authority {
	unsigned char *der; /* OpenSSL's memory */
	long n;
	X509_NAME *subject;
	bool parsed; /* it lies in the store now, or cannot be parsed at all */
};

struct trust {
	X509_STORE *store;
	struct authority *authorities;
	size_t n, room;
};

static const char *const system_bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt", /* Debian, Ubuntu, Arch, Alpine */
	"/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
	"/etc/ssl/ca-bundle.pem",             /* openSUSE */
	"/etc/ssl/cert.pem",
};

/* Puts every certificate with that subject into the store. Several may bear it: renewed and cross-signed roots. */
static void load_subject(struct trust *trust, const X509_NAME *subject)
{
	for (size_t i = 0; i < trust->n; i++) {
		struct authority *a = &trust->authorities[i];
		if (a->parsed || X509_NAME_cmp(a->subject, subject) != 0)
			continue;
		a->parsed = true;
		const unsigned char *p = a->der;
		X509 *x = d2i_X509(NULL, &p, a->n);
		if (x != NULL)
			X509_STORE_add_cert(trust->store, x);
		X509_free(x);
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

/* The subject of a certificate without parsing the rest (RFC 5280 4.1), which costs a hundred times as much. */
static X509_NAME *subject_of(const unsigned char *der, long n)
{
	const unsigned char *p = der, *end = der + n;
	if (der_step(&p, end, V_ASN1_SEQUENCE, true) != 0 || der_step(&p, end, V_ASN1_SEQUENCE, true) != 0)
		return NULL;
	if (p < end && *p == 0xa0 && der_step(&p, end, 0, false) != 0) /* [0] version, absent in version 1 */
		return NULL;
	if (der_step(&p, end, V_ASN1_INTEGER, false) != 0 ||  /* serial */
	    der_step(&p, end, V_ASN1_SEQUENCE, false) != 0 || /* signature algorithm */
	    der_step(&p, end, V_ASN1_SEQUENCE, false) != 0 || /* issuer */
	    der_step(&p, end, V_ASN1_SEQUENCE, false) != 0)   /* validity */
		return NULL;
	return p < end ? d2i_X509_NAME(NULL, &p, end - p) : NULL;
}

/* Takes `der`. */
static int add_authority(struct trust *trust, unsigned char *der, long n)
{
	X509_NAME *subject = subject_of(der, n);
	if (subject == NULL) {
		OPENSSL_free(der);
		return -1;
	}
	if (trust->n == trust->room) {
		trust->room = trust->room == 0 ? 32 : 2 * trust->room;
		trust->authorities = xrealloc(trust->authorities, trust->room * sizeof *trust->authorities);
	}
	trust->authorities[trust->n++] = (struct authority){.der = der, .n = n, .subject = subject};
	return 0;
}

static bool is_certificate(const char *label)
{
	return strcmp(label, PEM_STRING_X509) == 0 || strcmp(label, PEM_STRING_X509_OLD) == 0;
}

static int index_bundle(struct trust *trust, struct str pem, const char *name, struct err *err)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	if (bio == NULL)
		abort(); /* out of memory */
	int rc = 0;
	char *label = NULL, *header = NULL;
	unsigned char *der = NULL;
	long n = 0;
	while (rc == 0 && PEM_read_bio(bio, &label, &header, &der, &n) == 1) {
		if (!is_certificate(label))
			OPENSSL_free(der);
		else if (add_authority(trust, der, n) != 0)
			rc = fail(err, ERR_PARSE_ERROR, "'%s': certificate %zu is not valid DER", name, trust->n + 1);
		OPENSSL_free(label);
		OPENSSL_free(header);
	}
	bool clean_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	BIO_free(bio);
	if (rc == 0 && !clean_end)
		rc = fail(err, ERR_PARSE_ERROR, "'%s': PEM block %zu is damaged", name, trust->n + 1);
	if (rc == 0 && trust->n == 0)
		rc = fail(err, ERR_PARSE_ERROR, "'%s' holds no certificate in PEM form", name);
	return rc;
}

struct trust *trust_new(struct str pem, const char *name, struct err *err)
{
	AUTO(trust) *trust = NEW(struct trust);
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
	for (size_t i = 0; i < ARRAY_LEN(system_bundles); i++) {
		AUTO_FD fd = open(system_bundles[i], O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			return trust_new_fd(fd, system_bundles[i], err);
	}
	fail(err, ERR_SYSTEM,
	     "the system has no bundle of certificate authorities, such as '%s': install ca-certificates",
	     system_bundles[0]);
	return NULL;
}

void trust_free(struct trust *trust)
{
	if (trust == NULL)
		return;
	for (size_t i = 0; i < trust->n; i++) {
		OPENSSL_free(trust->authorities[i].der);
		X509_NAME_free(trust->authorities[i].subject);
	}
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
