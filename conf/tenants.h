/* tenants.h - what the sections of the configuration say: shared namespaces, and users with a limit of their own.
 *
 * Names of users and groups are looked up when they are read: what is judged by are numbers, and the names are kept for who
 * asks. Plain data without pointers: a copy is a copy. */
#ifndef CONF_TENANTS_H
#define CONF_TENANTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/codecs.h"
#include "conf/texts.h"

#define CONF_NAMESPACES_MAX 256
#define CONF_USERS_MAX 1024
/* Users that one list names, and groups that all lists name together. */
#define CONF_MEMBERS_MAX 64
#define CONF_GROUPS_MAX 64
/* A shared namespace's name, its / included. */
#define CONF_NAMESPACE_NAME_MAX 64
/* A list of words, as text, its NUL included. */
#define CONF_WORDS_MAX 8192
/* Of a file's name; what is longer is cut. */
#define CONF_FILE_NAME_MAX 200

/* The settings in the order of the table: those of namespaces, then the one of users. */
enum {
#define K(section, name, type, initial, allowed, help) CONF_##section##_##name,
#include "conf/sections.def"
#undef K
	CONF_SETTINGS
};

struct conf_members {
	bool everybody;
	unsigned user_count;
	uint32_t users[CONF_MEMBERS_MAX];
	uint64_t groups; /* bit n: the group at place n of conf_tenants.groups */
};

struct conf_namespace {
	char name[CONF_NAMESPACE_NAME_MAX + 1];
	struct conf_members readers;
	struct conf_members writers;
	uint64_t quota;          /* bytes; 0: none of its own */
	uint64_t default_ttl_ns; /* 0: never */
	uint64_t max_value;      /* bytes; 0: none of its own */
	struct conf_codecs codecs;
};

struct conf_user {
	bool everybody; /* [user *]: who has no section of his own */
	uint32_t uid;
	uint64_t quota; /* bytes; 0: none of its own */
};

/* Where a setting stood, for who asks. */
struct conf_said {
	uint32_t file;  /* in the texts */
	uint32_t line;  /* 0: nowhere, it is the default */
	uint32_t words; /* of a list: what it was, in the texts */
};

struct conf_tenants {
	unsigned namespace_count;
	struct conf_namespace namespaces[CONF_NAMESPACES_MAX];
	unsigned user_count;
	struct conf_user users[CONF_USERS_MAX];
	unsigned group_count;
	uint32_t groups[CONF_GROUPS_MAX];
	/* Apart from what is in effect, which does not differ because its line does. */
	struct conf_said namespaces_said[CONF_NAMESPACES_MAX][CONF_USER_quota];
	struct conf_said users_said[CONF_USERS_MAX];
	uint32_t user_names[CONF_USERS_MAX]; /* in the texts */
	uint32_t file;                       /* the last one that was named */
	struct conf_texts texts;
};

/* The declaration of a shared namespace; NULL: there is none. name need not end with a NUL. */
const struct conf_namespace *conf_find_namespace(const struct conf_tenants *tenants,
						 const char *name, size_t len);

/* What this uid's private namespaces may hold; UINT64_MAX: nothing is said. */
uint64_t conf_user_quota(const struct conf_tenants *tenants, uint32_t uid);

/* Calls back for each section that differs, with its name and what became of it. */
void conf_tenants_diff(const struct conf_tenants *from, const struct conf_tenants *to,
		       void (*changed)(const char *section, const char *what, void *arg),
		       void *arg);

/* ---- for the reader of files */

/* In which section a line stands. */
struct conf_section {
	struct conf_namespace *namespace;
	struct conf_user *user; /* both NULL: before the first */
};

#define CONF_WHY_MAX 288

/* Opens the section of a line `[...]`, again if it stood before. Returns 0, or -1 with a sentence in why. */
int conf_open_section(struct conf_tenants *tenants, const char *line,
		      struct conf_section *ret_section, char why[static CONF_WHY_MAX]);
/* Where a line stands. */
struct conf_line {
	const char *file;
	unsigned number; /* from 1 */
};
/* Takes name = value in the section, and where that stood; on failure what was there stays. */
int conf_set_in_section(struct conf_tenants *tenants, const struct conf_section *section,
			const char *name, const char *value, const struct conf_line *line,
			char why[static CONF_WHY_MAX]);
/* Is there a namespace that nobody could use? Its name, or NULL. */
const char *conf_find_unusable(const struct conf_tenants *tenants);

/* The keys of the sections, for printing. */
struct conf_key {
	const char *section; /* "namespace /NAME" */
	const char *name;
	const char *initial;
	const char *allowed;
	const char *help;
};
void conf_each_key(void (*each)(const struct conf_key *key, void *arg), void *arg);

#endif
