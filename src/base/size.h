/*
 * size: amounts of bytes as text
 *
 * Whole numbers, bare or with a binary unit: "1048576", "64KiB", "32MiB", "1GiB". No sign, no blank, no fraction, no
 * decimal units (whether MB means 1000² or 1024² is not ours to guess). No allocation; any thread.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"

/* VALIDATION_ERROR when the text is anything else or is more than `max`. */
int size_parse(struct str text, uint64_t max, uint64_t *ret, struct err *err) __attribute__((warn_unused_result));

/* In the largest unit that divides it: "32MiB", "1500". Returns ret. */
#define SIZE_TEXT_SIZE 24
const char *size_format(uint64_t bytes, char ret[SIZE_TEXT_SIZE]);
