/*
 * sanitized: whether this build carries a sanitizer, and which
 *
 * Its run-time makes system calls and mappings of its own, which a sanitizer build's policies allow in addition; no
 * released program is built so.
 */
#pragma once

#if defined(__has_feature)
#define CONFINE_HAS_FEATURE(name) __has_feature(name)
#else
#define CONFINE_HAS_FEATURE(name) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || CONFINE_HAS_FEATURE(address_sanitizer)
#define CONFINE_SANITIZED_ADDRESS 1
#else
#define CONFINE_SANITIZED_ADDRESS 0
#endif
#if defined(__SANITIZE_THREAD__) || CONFINE_HAS_FEATURE(thread_sanitizer)
#define CONFINE_SANITIZED_THREAD 1
#else
#define CONFINE_SANITIZED_THREAD 0
#endif
#if CONFINE_SANITIZED_ADDRESS || CONFINE_SANITIZED_THREAD
#define CONFINE_SANITIZED 1
#else
#define CONFINE_SANITIZED 0
#endif
