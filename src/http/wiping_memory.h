/*
 * wiping_memory: an allocator that wipes what it takes back
 *
 * For libraries that copy secrets into buffers of their own: libcurl is given these functions (curl_global_init_mem), so
 * that header lines with a credential do not lie in freed memory. The price is one memset per release. Any thread.
 */
#pragma once
#include <stddef.h>

void *wiping_malloc(size_t n);
void *wiping_calloc(size_t count, size_t size);
void *wiping_realloc(void *p, size_t n); /* grows in place or moves; what is left behind is wiped */
char *wiping_strdup(const char *z);
void wiping_free(void *p);
