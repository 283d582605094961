/* runkey.c - digests what a run depends on. Owns nothing.
 *
 * Every part goes into the hash as a letter, its length and its bytes, so that no two lists of parts give the same
 * bytes. Another list of parts needs another KEY_VERSION. */
#include "client/cli/runkey.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cli/report.h"
#include "client/cli/utf8.h"

#define KEY_NAME "brine run"
#define KEY_VERSION "brine run 1"
/* Of the command line, as it is shown among the keys. */
#define SHOWN_MAX 160
#define READ_SIZE 65536

static void
add(struct blake2b *hash, char letter, const void *bytes, size_t len)
{
	uint64_t size = htole64(len);

	blake2b_add(hash, &letter, 1);
	blake2b_add(hash, &size, sizeof(size));
	blake2b_add(hash, bytes, len);
}

static void
add_text(struct blake2b *hash, char letter, const char *text)
{
	add(hash, letter, text, strlen(text));
}

static void
add_state(struct blake2b *hash, const struct stat *stat_)
{
	uint64_t state[] = { htole64((uint64_t)stat_->st_size),
			     htole64((uint64_t)stat_->st_mtim.tv_sec),
			     htole64((uint64_t)stat_->st_mtim.tv_nsec) };

	add(hash, 'm', state, sizeof(state));
}

/* A link that leads to another program is another program, whatever its size and time. */
static int
add_program(const struct cli *cli, struct blake2b *hash, const char *path)
{
	char real[PATH_MAX];
	struct stat stat_;

	if (stat(path, &stat_) != 0 || !realpath(path, real)) {
		report(cli, "cannot look at %s: %s", path, strerror(errno));
		return EXIT_OTHER;
	}
	add_text(hash, 'x', path);
	add_text(hash, 'r', real);
	add_state(hash, &stat_);
	return EXIT_DONE;
}

static void
add_arguments(struct blake2b *hash, const char *const *arguments)
{
	struct stat stat_;

	for (; *arguments; arguments++) {
		add_text(hash, 'a', *arguments);
		if (stat(*arguments, &stat_) == 0 &&
		    (S_ISREG(stat_.st_mode) || S_ISDIR(stat_.st_mode)))
			add_state(hash, &stat_);
	}
}

static int
add_folder(const struct cli *cli, struct blake2b *hash)
{
	char folder[PATH_MAX];

	if (!getcwd(folder, sizeof(folder))) {
		report(cli, "cannot tell the working directory: %s", strerror(errno));
		return EXIT_OTHER;
	}
	add_text(hash, 'd', folder);
	return EXIT_DONE;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The texts of a list, sorted, each once: in which order they were given makes no difference. */
static size_t
sorted(const struct options *options, enum option_id id,
       const char *to[static OPTION_LISTED_MAX])
{
	size_t position = 0, given = 0, count = 0;
	const char *text;

	while ((text = option_next(options, id, &position)))
		to[given++] = text;
	qsort(to, given, sizeof(*to), compare);
	for (size_t i = 0; i < given; i++)
		if (!count || strcmp(to[i], to[count - 1]) != 0)
			to[count++] = to[i];
	return count;
}

static int
add_environment(const struct cli *cli, struct blake2b *hash)
{
	const char *names[OPTION_LISTED_MAX];
	size_t count = sorted(&cli->options, OPTION_ENV, names);

	for (size_t i = 0; i < count; i++) {
		const char *value = getenv(names[i]);

		if (!*names[i] || strchr(names[i], '='))
			return report_usage(
				cli,
				"--env '%s' is no variable's name. To set one: env %s brine run ...",
				names[i], *names[i] ? names[i] : "NAME=value");
		add_text(hash, 'e', names[i]);
		if (value)
			add_text(hash, 'v', value);
	}
	return EXIT_DONE;
}

static int
add_content(struct blake2b *hash, int fd)
{
	uint8_t digest[BLAKE2B_DIGEST];
	struct blake2b content;
	char buffer[READ_SIZE];
	ssize_t count;

	blake2b_begin(&content);
	while ((count = read(fd, buffer, sizeof(buffer))) != 0) {
		if (count < 0 && errno != EINTR)
			return -errno;
		if (count > 0)
			blake2b_add(&content, buffer, (size_t)count);
	}
	blake2b_end(&content, digest);
	add(hash, 'c', digest, sizeof(digest));
	return 0;
}

/* Reading a pipe would take away what the command should read. */
static int
add_file(struct blake2b *hash, struct blake2b *files, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat stat_;
	int result;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &stat_) != 0)
		result = -errno;
	else if (S_ISDIR(stat_.st_mode))
		result = -EISDIR;
	else if (!S_ISREG(stat_.st_mode))
		result = -ESPIPE;
	else
		result = 0;
	add_text(hash, 'f', path);
	if (result == 0) {
		add_state(files, &stat_);
		result = add_content(hash, fd);
	}
	close(fd);
	return result;
}

static int
add_files(const struct cli *cli, struct blake2b *hash, struct blake2b *files)
{
	const char *paths[OPTION_LISTED_MAX];
	size_t count = sorted(&cli->options, OPTION_FILE, paths);

	for (size_t i = 0; i < count; i++) {
		int result = add_file(hash, files, paths[i]);

		if (!result)
			continue;
		report(cli, "--file %s: %s; the command was not run", paths[i],
		       result == -ESPIPE ? "no regular file" : strerror(-result));
		return EXIT_OTHER;
	}
	return EXIT_DONE;
}

bool
runkey_changed(const struct cli *cli, const struct runkey *key)
{
	const char *paths[OPTION_LISTED_MAX];
	size_t count = sorted(&cli->options, OPTION_FILE, paths);
	uint8_t digest[BLAKE2B_DIGEST];
	struct blake2b files;
	struct stat stat_;

	blake2b_begin(&files);
	for (size_t i = 0; i < count; i++)
		if (stat(paths[i], &stat_) == 0)
			add_state(&files, &stat_);
	blake2b_end(&files, digest);
	return memcmp(digest, key->files, sizeof(digest)) != 0;
}

/* The command line as people know it again, cut, in UTF-8 that every terminal shows. Returns the length, at least
 * one. */
static size_t
show(const char *const *arguments, char to[static SHOWN_MAX])
{
	size_t at = 0;

	for (; *arguments; arguments++) {
		const char *from = *arguments;
		size_t left = strlen(from), size;
		uint32_t character;

		if (at && at < SHOWN_MAX)
			to[at++] = ' ';
		for (; left; from += size, left -= size) {
			size = utf8_read(from, left, &character);
			if (at + (size ? size : 1) > SHOWN_MAX)
				return at;
			if (size && utf8_shows(character))
				memcpy(to + at, from, size);
			else
				to[at] = '?';
			at += size && utf8_shows(character) ? size : 1;
			size = size ? size : 1;
		}
	}
	return at;
}

static void
add_item(struct brine_key *key, unsigned char tag, const void *bytes, size_t len)
{
	unsigned char length[BRINE_KEY_PIECE_MAX];

	/* A text has no tag. */
	brine_key_add(key, length, brine_key_put_length(len + (tag != 0), length));
	if (tag)
		brine_key_add(key, &tag, 1);
	brine_key_add(key, bytes, len);
}

/* ("brine run", "make-report --all", b"digest", b"digest of the pieces") */
static void
make_key(const struct runkey_subject *subject, const uint8_t *digest,
	 const uint8_t *content, struct operand_key *to)
{
	static const unsigned char tuple = BRINE_KEY_TUPLE;
	char shown[SHOWN_MAX];
	size_t len = show(subject->arguments, shown);

	brine_key_begin(&to->room);
	brine_key_add(&to->room, &tuple, 1);
	add_item(&to->room, 0, KEY_NAME, strlen(KEY_NAME));
	add_item(&to->room, 0, shown, len);
	add_item(&to->room, BRINE_KEY_BYTES, digest, BLAKE2B_DIGEST);
	if (content)
		add_item(&to->room, BRINE_KEY_BYTES, content, BLAKE2B_DIGEST);
	to->len = brine_key_end(&to->room, &to->bytes);
}

int
runkey_make(const struct cli *cli, const struct runkey_subject *subject,
	    struct runkey *ret_key)
{
	struct blake2b hash, files;
	int status;

	ret_key->subject = subject;
	blake2b_begin(&hash);
	blake2b_begin(&files);
	add_text(&hash, 'b', KEY_VERSION);
	status = add_program(cli, &hash, subject->path);
	add_arguments(&hash, subject->arguments);
	if (status == EXIT_DONE)
		status = add_folder(cli, &hash);
	if (status == EXIT_DONE)
		status = add_environment(cli, &hash);
	if (status == EXIT_DONE)
		status = add_files(cli, &hash, &files);
	if (subject->input)
		add(&hash, 'i', subject->input, BLAKE2B_DIGEST);
	blake2b_end(&hash, ret_key->digest);
	blake2b_end(&files, ret_key->files);
	make_key(subject, ret_key->digest, NULL, &ret_key->key);
	return status;
}

void
runkey_pieces(const struct runkey *key, const uint8_t content[static BLAKE2B_DIGEST],
	      struct operand_key *ret_key)
{
	make_key(key->subject, key->digest, content, ret_key);
}

static bool
is_standard(const struct stat *stat_)
{
	struct stat other;

	for (int fd = 0; fd <= 2; fd++)
		if (fstat(fd, &other) == 0 && other.st_dev == stat_->st_dev &&
		    other.st_ino == stat_->st_ino)
			return true;
	return false;
}

const char *
runkey_unknown(const struct runkey_subject *subject)
{
	struct stat stat_;

	for (const char *const *argument = subject->arguments; *argument; argument++)
		if (stat(*argument, &stat_) == 0 &&
		    (S_ISFIFO(stat_.st_mode) || S_ISSOCK(stat_.st_mode)) &&
		    !is_standard(&stat_))
			return *argument;
	return NULL;
}
