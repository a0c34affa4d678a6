#include "measure.h"
#include "base/err.h"
#include "base/mem.h"
#include "connector/code_file.h"
#include "connector/engine/engine.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

double now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

void samples_add(struct samples *samples, double us)
{
	if (samples->n == samples->room) {
		samples->room = samples->room == 0 ? 1024 : samples->room * 2;
		samples->us = xrealloc(samples->us, samples->room * sizeof *samples->us);
	}
	samples->us[samples->n++] = us;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

double samples_at(struct samples *samples, double quantile)
{
	if (samples->n == 0)
		BUG("nothing was measured");
	qsort(samples->us, samples->n, sizeof *samples->us, by_size);
	size_t at = (size_t)((double)samples->n * quantile);
	return samples->us[MIN(at, samples->n - 1)];
}

void samples_release(struct samples *samples)
{
	free(samples->us);
	*samples = (struct samples){0};
}

static void line(const char *bench, const char *subject, double value, const char *unit, double budget, bool met)
{
	printf("{\"bench\":\"%s\",\"subject\":\"%s\",\"value\":%.3f,\"unit\":\"%s\"", bench, subject, value, unit);
	if (budget > 0)
		printf(",\"budget\":%.3f,\"met\":%s", budget, met ? "true" : "false");
	printf("}\n");
	fflush(stdout);
}

void report(const char *bench, const char *subject, double value, const char *unit, double budget)
{
	line(bench, subject, value, unit, budget, value <= budget);
}

void report_at_least(const char *bench, const char *subject, double value, const char *unit, double budget)
{
	line(bench, subject, value, unit, budget, value >= budget);
}

_Noreturn void give_up(const struct err *err)
{
	char text[ERR_MESSAGE_MAX + 256];
	fprintf(stderr, "bench: %s\n", err_text(err, text, sizeof text));
	exit(1);
}

struct str slurp(const char *path)
{
	struct err err = {0};
	AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0) {
		fail_errno(&err, "cannot read '%s'", path);
		give_up(&err);
	}
	void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED) {
		fail_errno(&err, "cannot map '%s'", path);
		give_up(&err);
	}
	return str_of(bytes, (size_t)st.st_size);
}

int compile_module(const char *path, enum runner_strategy strategy)
{
	struct err err = {0};
	AUTO(engine)
	*engine = engine_new(&(struct engine_options){.strategy = strategy});
	int fd = memfd_create("bench-code", MFD_CLOEXEC);
	uint64_t n;
	uint8_t hash[CODE_FILE_HASH] = {0}, fingerprint[CODE_FILE_HASH];
	connector_code_fingerprint(strategy, fingerprint);
	if (fd < 0 || engine_compile(engine, slurp(path), fd, &n, &err) < 0 ||
	    code_file_seal(fd, hash, fingerprint, &err) < 0)
		give_up(&err);
	return fd;
}
