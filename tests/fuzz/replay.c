/* replay.c - gives the files of a corpus to a fuzz target once, so that `make check` keeps what
 * fuzzing has found without needing a fuzzer. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static int
replay(const char *path)
{
	FILE *file = fopen(path, "re");
	uint8_t *bytes;
	long len;

	if (!file || fseek(file, 0, SEEK_END) || (len = ftell(file)) < 0) {
		perror(path);
		return 1;
	}
	rewind(file);
	bytes = malloc((size_t)len + !len); /* to the byte, for the address sanitizer */
	if (!bytes || fread(bytes, 1, (size_t)len, file) != (size_t)len) {
		perror(path);
		return 1;
	}
	fclose(file);
	LLVMFuzzerTestOneInput(bytes, (size_t)len);
	free(bytes);
	return 0;
}

int
main(int count, char **paths)
{
	for (int i = 1; i < count; i++) {
		printf("%s\n", paths[i]); /* the last one printed is the culprit */
		fflush(stdout);
		if (replay(paths[i]))
			return 1;
	}
	return 0;
}
