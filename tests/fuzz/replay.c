/* Runs a fuzz target over every file of its corpus, in the ordinary test run and without a fuzzing engine. */
#include "base/mem.h"
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int replay_file(const char *folder, const char *name)
{
	AUTO_FREE char *path = xasprintf("%s/%s", folder, name);
	FILE *file = fopen(path, "rb");
	if (file == NULL)
		return -1;
	static uint8_t bytes[4 << 20];
	size_t n = fread(bytes, 1, sizeof bytes, file);
	fclose(file);
	/* A copy of the exact size lets the sanitizer see a read past the end. */
	AUTO_FREE uint8_t *copy = xmalloc(n > 0 ? n : 1);
	memcpy(copy, bytes, n);
	LLVMFuzzerTestOneInput(copy, n);
	return 0;
}

int main(int argc, char **argv)
{
	DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
	if (folder == NULL) {
		fprintf(stderr, "usage: %s CORPUS-FOLDER (which must exist)\n", argv[0]);
		return 2;
	}
	size_t ran = 0;
	for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
		if (entry->d_name[0] != '.' && replay_file(argv[1], entry->d_name) == 0)
			ran++;
	}
	closedir(folder);
	printf("%zu inputs replayed\n", ran);
	return ran > 0 ? 0 : 1;
}
