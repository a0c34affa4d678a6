/*
 * trust: the certificate authorities that a TLS peer is checked against
 *
 * A bundle holds some 140 authorities, and OpenSSL takes 25 ms to parse them all, while a handshake needs one or two.
 * So a bundle is only indexed (base64 decoded, subjects found, below 1 ms) and a certificate is parsed when a chain that
 * is being verified names its subject. One X509_STORE serves every connection. Not thread-safe: one loop's.
 */
#pragma once
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#define TRUST_BUNDLE_MAX ((size_t)16 << 20) /* bytes of PEM */

struct trust;
struct x509_store_st; /* OpenSSL's X509_STORE */

/* PEM certificates in memory; other blocks are skipped. PARSE_ERROR without any certificate or with a bad one. */
struct trust *trust_new(struct str pem, const char *name, struct err *err) __attribute__((warn_unused_result));
/* The same from a descriptor, which stays the caller's and is read from its start. */
struct trust *trust_new_fd(int fd, const char *name, struct err *err) __attribute__((warn_unused_result));
/* The places where distributions keep their bundle, ended by NULL; who confines itself first allows these. */
extern const char *const trust_system_bundles[];
/* The system's bundle: the first of them that can be opened. SYSTEM when there is none. */
struct trust *trust_new_system(struct err *err) __attribute__((warn_unused_result));
void trust_free(struct trust *trust); /* NULL is fine */
DEFINE_AUTO(trust, trust_free)

/* The store, borrowed; whoever keeps it takes a reference. It asks `trust` while verifying, which must outlive its use. */
struct x509_store_st *trust_store(struct trust *trust);
size_t trust_size(const struct trust *trust);   /* certificates in the bundle */
size_t trust_parsed(const struct trust *trust); /* of which have been parsed */
