/* tenants.c - the sections: which there are, what may stand in them. Pure, but for the accounts it has looked up. */
#include "conf/tenants.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "conf/account.h"
#include "conf/conf.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define SHOWN_MAX 64
#define MIB (UINT64_C(1) << 20)
#define QUOTA_MIN MIB
#define VALUE_MIN (UINT64_C(4) << 10)
#define SIZE_MOST (UINT64_C(64) << 40)
#define TTL_MIN_NS UINT64_C(1000000)
#define TTL_MOST_NS (UINT64_C(36500) * 86400 * 1000000000)

enum section { NAMESPACE, USER };
enum type { MEMBERS, SIZE, DURATION, CODECS, SWITCH };

struct key {
	enum section section;
	const char *name;
	enum type type;
	const char *initial, *allowed, *help;
};

static const struct key keys[] = {
#define K(section, name, type, initial, allowed, help)                                   \
	{ section, #name, type, initial, allowed, help },
#include "conf/sections.def"
#undef K
};

static const char *const titles[] = {
	[NAMESPACE] = "namespace /NAME",
	[USER] = "user NAME",
};

/* ---- what is asked of it */

const struct conf_namespace *
conf_find_namespace(const struct conf_tenants *tenants, const char *name, size_t len)
{
	for (unsigned i = 0; i < tenants->namespace_count; i++) {
		const struct conf_namespace *at = &tenants->namespaces[i];

		if (strlen(at->name) == len && memcmp(at->name, name, len) == 0)
			return at;
	}
	return NULL;
}

uint64_t
conf_user_quota(const struct conf_tenants *tenants, uint32_t uid)
{
	uint64_t quota = 0;

	for (unsigned i = 0; i < tenants->user_count; i++) {
		const struct conf_user *user = &tenants->users[i];

		if (!user->everybody && user->uid == uid)
			return user->quota ? user->quota : UINT64_MAX;
		if (user->everybody)
			quota = user->quota;
	}
	return quota ? quota : UINT64_MAX;
}

const char *
conf_find_unusable(const struct conf_tenants *tenants)
{
	for (unsigned i = 0; i < tenants->namespace_count; i++) {
		const struct conf_members *readers = &tenants->namespaces[i].readers;
		const struct conf_members *writers = &tenants->namespaces[i].writers;

		if (!readers->everybody && !readers->user_count && !readers->groups &&
		    !writers->everybody && !writers->user_count && !writers->groups)
			return tenants->namespaces[i].name;
	}
	return NULL;
}

void
conf_each_key(void (*each)(const struct conf_key *key, void *arg), void *arg)
{
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		const struct conf_key key = { titles[keys[i].section], keys[i].name,
					      keys[i].initial, keys[i].allowed,
					      keys[i].help };

		each(&key, arg);
	}
}

/* ---- what differs */

/* Of each namespace in `to`, and those that are in `from` alone. */
static void
diff_namespaces(const struct conf_tenants *from, const struct conf_tenants *to,
		void (*changed)(const char *, const char *, void *), void *arg)
{
	for (unsigned i = 0; i < to->namespace_count; i++) {
		const struct conf_namespace *now = &to->namespaces[i];
		const struct conf_namespace *before =
			conf_find_namespace(from, now->name, strlen(now->name));

		if (!before)
			changed(now->name, "is declared", arg);
		else if (memcmp(before, now, sizeof(*now)) != 0)
			changed(now->name, "has other settings", arg);
	}
	for (unsigned i = 0; i < from->namespace_count; i++) {
		const char *name = from->namespaces[i].name;

		if (!conf_find_namespace(to, name, strlen(name)))
			changed(name, "is not declared any more", arg);
	}
}

void
conf_tenants_diff(const struct conf_tenants *from, const struct conf_tenants *to,
		  void (*changed)(const char *section, const char *what, void *arg),
		  void *arg)
{
	diff_namespaces(from, to, changed, arg);
	if (from->user_count != to->user_count ||
	    memcmp(from->users, to->users, sizeof(to->users)) != 0)
		changed("[user]", "sections have other settings", arg);
	if (from->group_count != to->group_count ||
	    memcmp(from->groups, to->groups, sizeof(to->groups)) != 0)
		changed("the groups", "that sections name are others", arg);
}

/* ---- opening a section */

static bool
name_valid(const char *name)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789_.-";
	size_t len = strlen(name);

	return len >= 2 && len <= CONF_NAMESPACE_NAME_MAX && name[0] == '/' &&
	       name[1] != '.' && name[1] != '-' && strspn(name + 1, plain) == len - 1;
}

static int
refuse_texts(char why[static CONF_WHY_MAX])
{
	snprintf(why, CONF_WHY_MAX,
		 "more than %d KiB of users, of lists of readers and writers, and of "
		 "names of files in all sections; name groups instead",
		 CONF_TEXTS_SIZE / 1024);
	return -1;
}

static int
open_namespace(struct conf_tenants *tenants, const char *name,
	       struct conf_section *ret_section, char why[static CONF_WHY_MAX])
{
	struct conf_namespace *namespace;

	if (!name_valid(name)) {
		snprintf(
			why, CONF_WHY_MAX,
			"`%.*s' is no name of a shared namespace: it is a / and behind it "
			"1 to 63 of A-Z a-z 0-9 _ . - that do not begin with . or -",
			SHOWN_MAX, name);
		return -1;
	}
	*ret_section = (struct conf_section){ 0 };
	for (unsigned i = 0; i < tenants->namespace_count; i++)
		if (strcmp(tenants->namespaces[i].name, name) == 0) {
			ret_section->namespace = &tenants->namespaces[i];
			return 0;
		}
	if (tenants->namespace_count == CONF_NAMESPACES_MAX) {
		snprintf(why, CONF_WHY_MAX, "more than %d shared namespaces",
			 CONF_NAMESPACES_MAX);
		return -1;
	}
	namespace = &tenants->namespaces[tenants->namespace_count++];
	*namespace = (struct conf_namespace){ 0 };
	conf_admit_all(&namespace->codecs);
	memcpy(namespace->name, name, strlen(name) + 1);
	ret_section->namespace = namespace;
	return 0;
}

static int
open_user(struct conf_tenants *tenants, const char *name,
	  struct conf_section *ret_section, char why[static CONF_WHY_MAX])
{
	bool everybody = strcmp(name, "*") == 0;
	uint32_t uid = 0;

	if (!everybody && account_user(name, &uid, why, CONF_WHY_MAX))
		return -1;
	*ret_section = (struct conf_section){ 0 };
	for (unsigned i = 0; i < tenants->user_count; i++)
		if (tenants->users[i].everybody == everybody &&
		    tenants->users[i].uid == uid) {
			ret_section->user = &tenants->users[i];
			return 0;
		}
	if (tenants->user_count == CONF_USERS_MAX) {
		snprintf(why, CONF_WHY_MAX, "more than %d users with a section",
			 CONF_USERS_MAX);
		return -1;
	}
	if (conf_keep_text(&tenants->texts, name,
			   &tenants->user_names[tenants->user_count]))
		return refuse_texts(why);
	ret_section->user = &tenants->users[tenants->user_count++];
	*ret_section->user = (struct conf_user){ .everybody = everybody, .uid = uid };
	return 0;
}

int
conf_open_section(struct conf_tenants *tenants, const char *line,
		  struct conf_section *ret_section, char why[static CONF_WHY_MAX])
{
	char kind[SHOWN_MAX], name[2 * SHOWN_MAX + 1], rest[2];
	int len = (int)strcspn(line, "\r\n"), end = 0;

	/* A name that is cut here is too long for any. */
	if (sscanf(line, "[%63[a-z] %128[^] \t\r\n]%n", kind, name, &end) == 2 &&
	    line[end] == ']' && sscanf(line + end + 1, "%1s", rest) != 1) {
		if (strcmp(kind, "namespace") == 0)
			return open_namespace(tenants, name, ret_section, why);
		if (strcmp(kind, "user") == 0)
			return open_user(tenants, name, ret_section, why);
	}
	snprintf(why, CONF_WHY_MAX,
		 "unknown section %.*s: there are [%s] and [%s] (or [user *])",
		 len < SHOWN_MAX ? len : SHOWN_MAX, line, titles[NAMESPACE],
		 titles[USER]);
	return -1;
}

/* ---- the values */

/* The next word of a list; false: there is none. One that is cut is refused as what it is then. */
static bool
next_word(const char **at, char ret_word[static SHOWN_MAX + 1])
{
	static const char between[] = " \t,";
	size_t len;

	*at += strspn(*at, between);
	len = strcspn(*at, between);
	if (!len)
		return false;
	snprintf(ret_word, SHOWN_MAX + 1, "%.*s",
		 (int)(len < SHOWN_MAX ? len : SHOWN_MAX), *at);
	*at += len;
	return true;
}

static int
add_group(struct conf_tenants *tenants, struct conf_members *members, const char *name,
	  char why[static CONF_WHY_MAX])
{
	unsigned place = 0;
	uint32_t gid;

	if (account_group(name, &gid, why, CONF_WHY_MAX))
		return -1;
	while (place < tenants->group_count && tenants->groups[place] != gid)
		place++;
	if (place == CONF_GROUPS_MAX) {
		snprintf(why, CONF_WHY_MAX, "more than %d groups in all sections",
			 CONF_GROUPS_MAX);
		return -1;
	}
	if (place == tenants->group_count)
		tenants->groups[tenants->group_count++] = gid;
	members->groups |= UINT64_C(1) << place;
	return 0;
}

static int
add_user(struct conf_members *members, const char *name, char why[static CONF_WHY_MAX])
{
	uint32_t uid;

	if (account_user(name, &uid, why, CONF_WHY_MAX))
		return -1;
	for (unsigned i = 0; i < members->user_count; i++)
		if (members->users[i] == uid)
			return 0;
	if (members->user_count == CONF_MEMBERS_MAX) {
		snprintf(why, CONF_WHY_MAX,
			 "more than %d users in one list; name a group instead",
			 CONF_MEMBERS_MAX);
		return -1;
	}
	members->users[members->user_count++] = uid;
	return 0;
}

/* The list in one form: a comma and a blank between the words. Returns 0, or -1: it is too long. */
static int
join_words(const char *value, char ret_words[static CONF_WORDS_MAX])
{
	char word[SHOWN_MAX + 1];
	size_t len = 0;

	ret_words[0] = '\0';
	while (next_word(&value, word)) {
		len += (size_t)snprintf(ret_words + len, CONF_WORDS_MAX - len, "%s%s",
					len ? ", " : "", word);
		if (len >= CONF_WORDS_MAX)
			return -1;
	}
	return 0;
}

static int
set_members(struct conf_tenants *tenants, struct conf_members *to, const char *value,
	    char why[static CONF_WHY_MAX])
{
	struct conf_members members = { 0 };
	char word[SHOWN_MAX + 1];

	while (next_word(&value, word)) {
		if (strcmp(word, "*") == 0)
			members.everybody = true;
		else if (word[0] == '@' ? add_group(tenants, &members, word + 1, why)
					: add_user(&members, word, why))
			return -1;
	}
	*to = members;
	return 0;
}

static int
set_codecs(struct conf_namespace *namespace, const char *value)
{
	uint64_t set[CONF_CODECS / 64] = { 0 };
	char word[SHOWN_MAX + 1];
	bool any = false;

	while (next_word(&value, word)) {
		int id = conf_find_codec(word);

		if (id < 0)
			return -1;
		set[id / 64] |= UINT64_C(1) << id % 64;
		any = true;
	}
	if (!any)
		return -1;
	memcpy(namespace->codecs.set, set, sizeof(set));
	return 0;
}

static int
set_number(uint64_t *to, uint64_t number, uint64_t least, uint64_t most)
{
	if (number && (number < least || number > most))
		return -1;
	*to = number;
	return 0;
}

static int
set_size(const struct conf_section *section, const char *name, const char *value)
{
	uint64_t bytes;

	if (conf_parse_size(value, &bytes))
		return -1;
	if (section->user)
		return set_number(&section->user->quota, bytes, QUOTA_MIN, SIZE_MOST);
	if (strcmp(name, "quota") == 0)
		return set_number(&section->namespace->quota, bytes, QUOTA_MIN,
				  SIZE_MOST);
	return set_number(&section->namespace->max_value, bytes, VALUE_MIN, SIZE_MOST);
}

/* -1: it is not allowed, or *why says what is wrong with it. */
static int
set_key(struct conf_tenants *tenants, const struct conf_section *section,
	const struct key *key, const char *value, char why[static CONF_WHY_MAX])
{
	struct conf_namespace *namespace = section->namespace;
	uint64_t ns;

	switch (key->type) {
	case MEMBERS:
		return set_members(tenants,
				   strcmp(key->name, "readers") == 0
					   ? &namespace->readers
					   : &namespace->writers,
				   value, why);
	case SIZE:
		return set_size(section, key->name, value);
	case DURATION:
		return conf_parse_duration(value, &ns)
			       ? -1
			       : set_number(&namespace->default_ttl_ns, ns, TTL_MIN_NS,
					    TTL_MOST_NS);
	case CODECS:
		return set_codecs(namespace, value);
	case SWITCH:
		if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
			return -1;
		namespace->codecs.no_pickle = value[0] == 'n';
		return 0;
	}
	return -1;
}

/* ---- where it stood */

static struct conf_said *
find_said(struct conf_tenants *tenants, const struct conf_section *section,
	  const struct key *key)
{
	if (section->user)
		return &tenants->users_said[section->user - tenants->users];
	return &tenants->namespaces_said[section->namespace - tenants->namespaces]
					[key - keys];
}

/* Lines of one file follow each other: its name is kept once. */
static int
keep_file(struct conf_tenants *tenants, const char *file)
{
	char name[CONF_FILE_NAME_MAX + 1];

	snprintf(name, sizeof(name), "%.*s", CONF_FILE_NAME_MAX, file);
	if (strcmp(conf_text_at(&tenants->texts, tenants->file), name) == 0)
		return 0;
	return conf_keep_text(&tenants->texts, name, &tenants->file);
}

static int
make_said(struct conf_tenants *tenants, const struct key *key, const char *value,
	  const struct conf_line *line, struct conf_said *ret_said,
	  char why[static CONF_WHY_MAX])
{
	char words[CONF_WORDS_MAX] = "";

	if (key->type == MEMBERS && join_words(value, words)) {
		snprintf(why, CONF_WHY_MAX, "the list is too long; name groups instead");
		return -1;
	}
	*ret_said = (struct conf_said){ .line = line->number };
	if (keep_file(tenants, line->file) ||
	    conf_keep_text(&tenants->texts, words, &ret_said->words))
		return refuse_texts(why);
	ret_said->file = tenants->file;
	return 0;
}

static void
refuse_key(enum section section, const char *name, char why[static CONF_WHY_MAX])
{
	size_t len = (size_t)snprintf(why, CONF_WHY_MAX,
				      "a section [%s] has no `%.*s'; it takes",
				      titles[section], SHOWN_MAX, name);

	for (size_t i = 0; i < COUNT_OF(keys); i++)
		if (keys[i].section == section && len < CONF_WHY_MAX)
			len += (size_t)snprintf(why + len, CONF_WHY_MAX - len, " %s",
						keys[i].name);
}

int
conf_set_in_section(struct conf_tenants *tenants, const struct conf_section *section,
		    const char *name, const char *value, const struct conf_line *line,
		    char why[static CONF_WHY_MAX])
{
	enum section kind = section->user ? USER : NAMESPACE;
	const struct key *key = NULL;
	struct conf_said said;
	char reason[CONF_WHY_MAX / 2] = "";

	for (size_t i = 0; i < COUNT_OF(keys); i++)
		if (keys[i].section == kind && strcmp(keys[i].name, name) == 0)
			key = &keys[i];
	if (!key) {
		refuse_key(kind, name, why);
		return -1;
	}
	why[0] = '\0';
	if (!make_said(tenants, key, value, line, &said, why) &&
	    !set_key(tenants, section, key, value, why)) {
		*find_said(tenants, section, key) = said;
		return 0;
	}
	snprintf(reason, sizeof(reason), "%s", why);
	if (reason[0])
		snprintf(why, CONF_WHY_MAX, "%s: %s", name, reason);
	else
		snprintf(why, CONF_WHY_MAX, "%s: `%.*s': allowed is %s", name, SHOWN_MAX,
			 value, key->allowed);
	return -1;
}
