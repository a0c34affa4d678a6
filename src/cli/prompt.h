/*
 * prompt: asking the person at the terminal
 *
 * Always /dev/tty, never standard input, so that a pipe into a verb is not taken for an answer. What is hidden is not
 * echoed and goes into secret memory alone; echo comes back whatever ends the question, a signal too. One thread.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "crypto/secret.h"

#define PROMPT_MAX ((size_t)4096) /* bytes of an answer, as the terminal gives them */

bool prompt_possible(void); /* whether there is a terminal to ask at */
/* A line without echo; may be empty. USAGE at the end of input, CANCELLED when the person interrupts. */
struct secret *prompt_hidden(const char *question, struct err *err) __attribute__((warn_unused_result));
/* A line, trimmed, appended. */
int prompt_line(const char *question, struct buf *answer, struct err *err) __attribute__((warn_unused_result));
/* "question [y/N]: ", or [Y/n] when yes is what an empty answer means: 1, 0, -1. */
int prompt_yes(const char *question, bool otherwise, struct err *err) __attribute__((warn_unused_result));
/* Text for the person, where questions are asked. */
void prompt_say(const char *text);
