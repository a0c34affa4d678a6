/*
 * A bundle of certificates as --ca-file names it, read where the secret is. What is accepted has certificates, none of
 * which is parsed before it is asked for; the store then parses each.
 */
#include "http/trust.h"
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Asks the store for issuers as a verification would: every certificate in the input names one. */
static void ask_for_issuers(struct trust *trust, const uint8_t *data, size_t n)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	const unsigned char *p = data;
	X509_NAME *name = d2i_X509_NAME(NULL, &p, (long)n);
	X509 *child = X509_new();
	if (ctx == NULL || child == NULL || X509_STORE_CTX_init(ctx, trust_store(trust), child, NULL) != 1)
		abort();
	STACK_OF(X509) *found = X509_STORE_CTX_get1_certs(ctx, name != NULL ? name : X509_get_subject_name(child));
	sk_X509_pop_free(found, X509_free);
	X509_STORE_CTX_free(ctx);
	X509_NAME_free(name);
	X509_free(child);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct err err = {0};
	AUTO(trust) *trust = trust_new(str_of(data, n), "bundle", &err);
	if (trust == NULL) {
		if (err.class != ERR_PARSE_ERROR)
			abort();
		return 0;
	}
	if (trust_size(trust) == 0 || trust_parsed(trust) != 0)
		abort();
	ask_for_issuers(trust, data, n);
	if (trust_parsed(trust) > trust_size(trust))
		abort();
	return 0;
}
