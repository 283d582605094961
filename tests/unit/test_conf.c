/* test_conf.c - the options: their forms, limits, file, and the two texts that describe them. */
#include "tests/unit/unit.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "conf/sections.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define MS UINT64_C(1000000)
#define S (1000 * MS)

static struct conf_error error;

static uint64_t
size_of(const char *text)
{
	uint64_t bytes = 12345;

	return conf_parse_size(text, &bytes) == 0 ? bytes : 12345;
}

static uint64_t
duration_of(const char *text)
{
	uint64_t ns = 12345;

	return conf_parse_duration(text, &ns) == 0 ? ns : 12345;
}

#define REFUSED 12345

static void
sizes_are_powers_of_1024(void **state)
{
	(void)state;
	assert_int_equal(size_of("0"), 0);
	assert_int_equal(size_of("17"), 17);
	assert_int_equal(size_of("64M"), 64 * MIB);
	assert_int_equal(size_of("3K"), 3 * KIB);
	assert_int_equal(size_of("2G"), 2048 * MIB);
	assert_int_equal(size_of("1T"), 1024 * 1024 * MIB);
	assert_int_equal(size_of("18446744073709551615"), UINT64_MAX);
}

static void
other_texts_are_no_sizes(void **state)
{
	static const char *const texts[] = { "",          " ",
					     "M",         "-1",
					     "+1",        " 1",
					     "1 ",        "1 M",
					     "1.5G",      "1MB",
					     "1m",        "0x10",
					     "1M1",       "18446744073709551616",
					     "16777216T", "99999999999999999999999" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(size_of(texts[i]), REFUSED);
}

static void
durations_have_units_that_descend(void **state)
{
	(void)state;
	assert_int_equal(duration_of("0"), 0);
	assert_int_equal(duration_of("0s"), 0);
	assert_int_equal(duration_of("5ms"), 5 * MS);
	assert_int_equal(duration_of("250us"), 250000);
	assert_int_equal(duration_of("90s"), 90 * S);
	assert_int_equal(duration_of("10m"), 600 * S);
	assert_int_equal(duration_of("2h"), 7200 * S);
	assert_int_equal(duration_of("7d"), 7 * 86400 * S);
	assert_int_equal(duration_of("1h30m"), 5400 * S);
	assert_int_equal(duration_of("1d2h3m4s5ms6us"),
			 ((((24 + 2) * 60 + 3) * 60 + 4) * 1000 + 5) * MS + 6000);
}

static void
other_texts_are_no_durations(void **state)
{
	static const char *const texts[] = { "",
					     "5",
					     "ms",
					     "-5ms",
					     "5 ms",
					     "5ms ",
					     "1.5s",
					     "5S",
					     "30m1h",
					     "1h1h",
					     "1h5",
					     "5ns",
					     "00",
					     "1s,5ms",
					     "999999999999999d",
					     "213503d24h99999999999999999s" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(duration_of(texts[i]), REFUSED);
}

static void
formatted_numbers_parse_to_themselves(void **state)
{
	static const uint64_t sizes[] = { 0,         1,        1023,    1024,
					  1025,      64 * MIB, MIB + 1, UINT64_C(3) << 40,
					  UINT64_MAX };
	static const uint64_t durations[] = {
		0, 1000, 5 * MS, 5400 * S, 86400 * S + 1000, UINT64_MAX / 1000 * 1000
	};
	char text[CONF_NUMBER_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		conf_format_size(sizes[i], text);
		assert_int_equal(size_of(text), sizes[i]);
	}
	for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
		conf_format_duration(durations[i], text);
		assert_int_equal(duration_of(text), durations[i]);
	}
	conf_format_size(64 * MIB, text);
	assert_string_equal(text, "64M");
	conf_format_size(0, text);
	assert_string_equal(text, "0");
	conf_format_duration(5400 * S, text);
	assert_string_equal(text, "1h30m");
	conf_format_duration(0, text);
	assert_string_equal(text, "0");
}

static void
defaults_are_those_of_the_table(void **state)
{
	struct conf conf;

	(void)state;
	conf_defaults(&conf);
	assert_int_equal(conf.max_size, 0);
	assert_int_equal(conf.min_free_percent, 5);
	assert_int_equal(conf.commit_delay_ns, 5 * MS);
	assert_int_equal(conf.max_unflushed_ns, 250 * MS);
	assert_int_equal(conf.max_connections, 4096);
	assert_int_equal(conf.max_namespaces, 256);
	assert_int_equal(conf.idle_exit_ns, 0);
	assert_int_equal(conf.idle_timeout_ns, 30 * S);
	assert_int_equal(conf.log_level, 2);
	assert_string_equal(conf.socket, "");
}

static void
an_assignment_sets_its_option(void **state)
{
	struct conf conf;

	(void)state;
	conf_defaults(&conf);
	assert_int_equal(conf_set(&conf, "max_size=64M", "--set", &error), 0);
	assert_int_equal(conf_set(&conf, "min_free = 7%", "--set", &error), 0);
	assert_int_equal(conf_set(&conf, "log_level=debug", "--set", &error), 0);
	assert_int_equal(conf_set(&conf, "data=/a=b c", "--set", &error), 0);
	assert_int_equal(conf.max_size, 64 * MIB);
	assert_int_equal(conf.min_free_percent, 7);
	assert_int_equal(conf.log_level, 3);
	assert_string_equal(conf.data, "/a=b c");
}

static void
assert_refused(const char *assignment, const char *sentence)
{
	struct conf conf, before;

	conf_defaults(&conf);
	before = conf;
	error.text[0] = '\0';
	assert_int_equal(conf_set(&conf, assignment, "--set", &error), -1);
	assert_string_equal(error.text, sentence);
	assert_memory_equal(&conf, &before, sizeof(conf));
}

static void
a_refusal_names_value_and_range_and_changes_nothing(void **state)
{
	(void)state;
	assert_refused("max_size=1M", "--set: max_size: `1M' is out of range: "
				      "allowed is 64M to 64T, or 0 (automatic)");
	assert_refused("max_size=lots",
		       "--set: max_size: `lots' is not a size, such as 64M or 2G");
	assert_refused(
		"commit_delay=5",
		"--set: commit_delay: `5' is not a duration, such as 5ms, 90s or 1h30m");
	assert_refused("commit_delay=2s",
		       "--set: commit_delay: `2s' is out of range: allowed is 0 to 1s");
	assert_refused(
		"max_unflushed=0",
		"--set: max_unflushed: `0' is out of range: allowed is 1ms to 10s");
	assert_refused("min_free=51",
		       "--set: min_free: `51' is out of range: allowed is 0 to 50");
	assert_refused("min_free=%",
		       "--set: min_free: `%' is not a percentage, such as 5");
	assert_refused("max_connections=4K",
		       "--set: max_connections: `4K' is not a number");
	assert_refused("max_connections=4294967297",
		       "--set: max_connections: `4294967297' is out of range: "
		       "allowed is 1 to 100000");
	assert_refused("log_level=loud", "--set: log_level: `loud' is not "
					 "one of error, warning, info, debug");
	assert_refused("data=here", "--set: data: `here' is not an absolute path");
	assert_refused("max_size", "--set: `max_size' is not of the form name=value");
}

static void
an_unknown_option_suggests_the_nearest(void **state)
{
	(void)state;
	assert_refused("maxsize=1G",
		       "--set: there is no option `maxsize'; did you mean max_size?");
	assert_refused(
		"commit_dealy=1ms",
		"--set: there is no option `commit_dealy'; did you mean commit_delay?");
	assert_refused("colour=blue", "--set: there is no option `colour'");
	assert_refused("=1", "--set: there is no option `'");
}

static void
a_refused_text_of_any_length_stays_in_its_bounds(void **state)
{
	static char huge[3 * CONF_PATH_MAX];
	static const char *const starts[] = { "", "data=/", "max_size=", "x=" };
	struct conf conf;

	(void)state;
	conf_defaults(&conf);
	for (size_t i = 0; i < 4; i++) {
		memset(huge, 'x', sizeof(huge) - 1);
		memcpy(huge, starts[i], strlen(starts[i]));
		assert_int_equal(conf_set(&conf, huge, huge, &error), -1);
		assert_true(strlen(error.text) < sizeof(error.text));
	}
}

/* ---- files */

static int
read_text(struct conf *conf, const char *text, size_t len)
{
	FILE *stream = fmemopen((void *)(uintptr_t)text, len, "r");
	int result;

	assert_non_null(stream);
	conf_defaults(conf);
	error.text[0] = '\0';
	result = conf_read_stream(conf, stream, "x.conf", &error);
	fclose(stream);
	return result;
}

static void
assert_file_refused(const char *text, const char *sentence)
{
	struct conf conf;

	assert_int_equal(read_text(&conf, text, strlen(text)), -1);
	assert_string_equal(error.text, sentence);
}

static void
a_file_sets_its_options_and_the_later_line_wins(void **state)
{
	static const char text[] = "# a comment\n; another\n\nmax_size = 1G\n"
				   "   max_size = 2G\r\n\tmin_free=9\nlog_level : error";
	struct conf conf;

	(void)state;
	assert_int_equal(read_text(&conf, text, sizeof(text) - 1), 0);
	assert_int_equal(conf.max_size, 2048 * MIB);
	assert_int_equal(conf.min_free_percent, 9);
	assert_int_equal(conf.log_level, 0);
}

static void
an_error_in_a_file_names_file_and_line(void **state)
{
	(void)state;
	assert_file_refused("\nmin_free = 1\nmax_size = 1\nmin_free = x\n",
			    "x.conf:3: max_size: `1' is out of range: "
			    "allowed is 64M to 64T, or 0 (automatic)");
	assert_file_refused(
		"max_sise = 1G\n",
		"x.conf:1: there is no option `max_sise'; did you mean max_size?");
	assert_file_refused("min_free = 1\nnonsense\n",
			    "x.conf:2: not of the form name = value");
	assert_file_refused("max_size = 1G # big\n",
			    "x.conf:1: max_size: `1G # big' is not "
			    "a size, such as 64M or 2G");
	assert_file_refused("data = \xff\n",
			    "x.conf:1: data: `\xff' is not an absolute path");
}

/* ---- sections */

static void
a_section_declares_a_namespace(void **state)
{
	static const char text[] = "min_free = 9\n"
				   "[namespace /models]\n"
				   "readers = 1000 @100,@7\n"
				   "writers = root, 1001\n"
				   "quota = 2G\ndefault_ttl = 30d\nmax_value = 1M\n"
				   "codecs = json msgpack, 200\nallow_pickle = no\n"
				   "  [ user 1000 ]\n";
	static const char user[] = "[user 1000]\nquota=5M\n[user *]\nquota = 1M\n";
	const struct conf_namespace *models;
	struct conf conf;

	(void)state;
	assert_int_equal(read_text(&conf, text, sizeof(text) - 1), -1);
	assert_non_null(strstr(error.text, "x.conf:10: unknown section [ user 1000 ]"));
	models = conf_find_namespace(&conf.tenants, "/models", 7);
	assert_non_null(models);
	assert_int_equal(models->readers.user_count, 1);
	assert_int_equal(models->readers.users[0], 1000);
	assert_int_equal(models->readers.groups, 3);
	assert_int_equal(conf.tenants.groups[0], 100);
	assert_int_equal(conf.tenants.groups[1], 7);
	assert_int_equal(models->writers.user_count, 2);
	assert_int_equal(models->writers.users[0], 0);
	assert_int_equal(models->quota, 2048 * MIB);
	assert_int_equal(models->default_ttl_ns, 30 * 86400 * S);
	assert_int_equal(models->max_value, MIB);
	assert_null(conf_find_namespace(&conf.tenants, "/model", 6));
	assert_int_equal(read_text(&conf, user, sizeof(user) - 1), 0);
	assert_int_equal(conf_user_quota(&conf.tenants, 1000), 5 * MIB);
	assert_int_equal(conf_user_quota(&conf.tenants, 1), MIB);
}

static void
without_pickle_nothing_is_admitted_that_is_loaded_like_it(void **state)
{
	static const char text[] =
		"[namespace /a]\nreaders=*\nallow_pickle=no\n"
		"[namespace /b]\nreaders=*\ncodecs=json\n[namespace /c]\nreaders=*\n";
	struct conf conf;
	const struct conf_namespace *a, *b, *c;

	(void)state;
	assert_int_equal(read_text(&conf, text, sizeof(text) - 1), 0);
	a = conf_find_namespace(&conf.tenants, "/a", 2);
	b = conf_find_namespace(&conf.tenants, "/b", 2);
	c = conf_find_namespace(&conf.tenants, "/c", 2);
	for (uint32_t id = 0; id < 256; id++) {
		/* whatever the codec's own bits say */
		uint32_t codec = id + 0x0b030500;

		assert_int_equal(conf_admits(&a->codecs, codec),
				 id <= 6 && id != 1 && id != 5);
		assert_int_equal(conf_admits(&b->codecs, codec), id == 4);
		assert_true(conf_admits(&c->codecs, codec));
	}
}

static void
an_error_in_a_section_says_what_is_allowed(void **state)
{
	(void)state;
	assert_file_refused("min_free = 1\n[nonsense x]\n",
			    "x.conf:2: unknown section [nonsense x]: there are "
			    "[namespace /NAME] and [user NAME] (or [user *])");
	assert_file_refused("\xef\xbb\xbf[x]\nmin_free = 1\n",
			    "x.conf:1: unknown section [x]: there are "
			    "[namespace /NAME] and [user NAME] (or [user *])");
	assert_file_refused(
		"[namespace models]\n",
		"x.conf:1: `models' is no name of a shared namespace: it is a / and "
		"behind it 1 to 63 of A-Z a-z 0-9 _ . - that do not begin with . or -");
	assert_file_refused("[namespace /a]\nreader = 1\n",
			    "x.conf:2: a section [namespace /NAME] has no `reader'; it "
			    "takes readers writers quota default_ttl max_value codecs "
			    "allow_pickle");
	assert_file_refused("[namespace /a]\nreaders = no-such-user\n",
			    "x.conf:2: readers: there is no user `no-such-user' on this "
			    "machine");
	assert_file_refused("[namespace /a]\nwriters = 1 @no-such-group\n",
			    "x.conf:2: writers: there is no group `no-such-group' on "
			    "this machine");
	assert_file_refused("[namespace /a]\nquota = 1K\n",
			    "x.conf:2: quota: `1K': allowed is 1M to 64T, or 0 "
			    "(max_size)");
	assert_file_refused("[namespace /a]\ndefault_ttl = 1us\n",
			    "x.conf:2: default_ttl: `1us': allowed is 1ms to 36500d, or "
			    "0 (never)");
	assert_file_refused("[namespace /a]\nallow_pickle = maybe\n",
			    "x.conf:2: allow_pickle: `maybe': allowed is yes or no");
	assert_file_refused("[namespace /a]\ncodecs = json marshal\n",
			    "x.conf:2: codecs: `json marshal': allowed is bytes, pickle, "
			    "text, msgpack, json, cloudpickle, integer, or numbers up to "
			    "255");
	assert_file_refused("[user no-such-user]\n",
			    "x.conf:1: there is no user `no-such-user' on this machine");
	assert_file_refused("[user 4294967295]\n",
			    "x.conf:1: there is no user `4294967295' on this machine");
	assert_refused("admin_group=no-such-group",
		       "--set: admin_group: there is no group `no-such-group' on this "
		       "machine");
}

static void
names_of_sections_have_their_bounds(void **state)
{
	static const char *const names[] = {
		"/",
		"/.a",
		"/-a",
		"//a",
		"/a/b",
		"/a]b",
		"/a b",
		"a",
		"/\xff",
		("/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		 "xxxxxxxxxxxxxxxxxxx")
	};
	struct conf_section section;
	struct conf conf;
	char why[CONF_WHY_MAX], line[512];

	(void)state;
	conf_defaults(&conf);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(line, sizeof(line), "[namespace %s]\n", names[i]);
		assert_int_equal(conf_open_section(&conf.tenants, line, &section, why),
				 -1);
	}
	snprintf(line, sizeof(line), "[namespace %.64s]\n", names[9]);
	assert_int_equal(conf_open_section(&conf.tenants, line, &section, why), 0);
	assert_int_equal(strlen(conf.tenants.namespaces[0].name), 64);
}

static void
there_are_only_so_many_of_everything(void **state)
{
	static char text[1 << 16];
	struct conf conf;
	size_t len = 0;

	(void)state;
	for (int i = 0; i <= CONF_NAMESPACES_MAX; i++)
		len += (size_t)sprintf(text + len, "[namespace /n%d]\nreaders=*\n", i);
	assert_int_equal(read_text(&conf, text, len), -1);
	assert_non_null(strstr(error.text, "more than 256 shared namespaces"));
	len = (size_t)sprintf(text, "[namespace /a]\nreaders =");
	for (int i = 0; i <= CONF_MEMBERS_MAX; i++)
		len += (size_t)sprintf(text + len, " %d", i);
	assert_int_equal(read_text(&conf, text, len), -1);
	assert_non_null(strstr(error.text, "more than 64 users in one list"));
	len = (size_t)sprintf(text, "[namespace /a]\nreaders =");
	for (int i = 0; i <= CONF_GROUPS_MAX; i++)
		len += (size_t)sprintf(text + len, " @%d", i);
	assert_int_equal(read_text(&conf, text, len), -1);
	assert_non_null(strstr(error.text, "more than 64 groups in all sections"));
	len = 0;
	for (int i = 0; i <= CONF_USERS_MAX; i++)
		len += (size_t)sprintf(text + len, "[user %d]\n", i);
	assert_int_equal(read_text(&conf, text, len), -1);
	assert_non_null(strstr(error.text, "more than 1024 users with a section"));
}

static void
a_namespace_that_nobody_could_use_is_an_error(void **state)
{
	static const char text[] = "[namespace /a]\nquota = 1M\n";
	struct conf conf;

	(void)state;
	assert_int_equal(read_text(&conf, text, sizeof(text) - 1), 0);
	assert_int_equal(conf_check(&conf, &error), -1);
	assert_string_equal(error.text, "[namespace /a] has neither readers nor writers: "
					"nobody could use it");
}

static void
a_section_that_stands_twice_goes_on(void **state)
{
	static const char text[] = "[namespace /a]\nreaders = 1\nquota = 1M\n"
				   "[namespace /b]\nreaders = 2\n"
				   "[namespace /a]\nreaders = 3\n";
	const struct conf_namespace *a;
	struct conf conf;

	(void)state;
	assert_int_equal(read_text(&conf, text, sizeof(text) - 1), 0);
	assert_int_equal(conf.tenants.namespace_count, 2);
	a = conf_find_namespace(&conf.tenants, "/a", 2);
	assert_int_equal(a->readers.user_count, 1);
	assert_int_equal(a->readers.users[0], 3);
	assert_int_equal(a->quota, MIB);
}

static void
collect_section(const char *section, const char *what, void *arg)
{
	char *text = arg;
	size_t len = strlen(text);

	snprintf(text + len, 256 - len, "%s %s;", section, what);
}

static void
a_reload_names_the_sections_that_changed(void **state)
{
	static const char before[] =
		"[namespace /a]\nreaders=1\n[namespace /b]\nreaders=1\n";
	static const char after[] =
		"[namespace /b]\nreaders=2\n[namespace /c]\nreaders=1\n"
		"[user 7]\nquota=1M\n";
	struct conf old, new;
	char text[256] = "";

	(void)state;
	assert_int_equal(read_text(&old, before, sizeof(before) - 1), 0);
	assert_int_equal(read_text(&new, after, sizeof(after) - 1), 0);
	conf_tenants_diff(&old.tenants, &old.tenants, collect_section, text);
	assert_string_equal(text, "");
	conf_tenants_diff(&old.tenants, &new.tenants, collect_section, text);
	assert_string_equal(text,
			    "/b has other settings;/c is declared;/a is not declared "
			    "any more;[user] sections have other settings;");
}

static void
a_line_that_moves_changes_no_section(void **state)
{
	static const char before[] = "[namespace /a]\nreaders=1\n[user 7]\nquota=1M\n";
	static const char after[] =
		"\n[namespace /a]\nreaders = 1\n[user 7]\n\nquota=1M\n";
	struct conf old, new;
	char text[256] = "";

	(void)state;
	assert_int_equal(read_text(&old, before, sizeof(before) - 1), 0);
	assert_int_equal(read_text(&new, after, sizeof(after) - 1), 0);
	conf_tenants_diff(&old.tenants, &new.tenants, collect_section, text);
	assert_string_equal(text, "");
}

#define SHOWN_MAX 65536

static void
collect_setting(const struct conf_setting *setting, void *arg)
{
	char *text = arg;
	size_t len = strlen(text);

	snprintf(text + len, SHOWN_MAX - len, "%s %s %s=%s(%s) %s\n", setting->kind,
		 setting->section, setting->name, setting->value, setting->effect,
		 setting->origin);
}

static void
assert_shown(const struct conf *conf, const char *expected)
{
	static char text[SHOWN_MAX];

	text[0] = '\0';
	conf_each_setting(&conf->tenants, collect_setting, text);
	assert_string_equal(text, expected);
}

static void
a_section_shows_each_setting_and_where_it_stood(void **state)
{
	static const char text[] = "[namespace /a]\n"
				   "readers = root,\t@0  7\n"
				   "quota = 1024M\n"
				   "[user root]\n"
				   "[namespace /b]\n"
				   "writers = 0\n"
				   "codecs = json 200\n"
				   "allow_pickle = no\n"
				   "default_ttl = 90m\n"
				   "max_value = 4K\n"
				   "[user *]\n"
				   "quota = 2M\n"
				   "[namespace /a]\n"
				   "quota = 5M\n";
	struct conf conf;

	(void)state;
	assert_int_equal(read_text(&conf, text, sizeof(text) - 1), 0);
	assert_shown(&conf, "namespace /a readers=root, @0, 7() x.conf:2\n"
			    "namespace /a writers=(nobody) default\n"
			    "namespace /a quota=5M() x.conf:14\n"
			    "namespace /a default_ttl=0(never) default\n"
			    "namespace /a max_value=0(that of the option) default\n"
			    "namespace /a codecs=(all) default\n"
			    "namespace /a allow_pickle=yes() default\n"
			    "namespace /b readers=(nobody) default\n"
			    "namespace /b writers=0() x.conf:6\n"
			    "namespace /b quota=0(max_size) default\n"
			    "namespace /b default_ttl=1h30m() x.conf:9\n"
			    "namespace /b max_value=4K() x.conf:10\n"
			    "namespace /b codecs=json, 200() x.conf:7\n"
			    "namespace /b allow_pickle=no() x.conf:8\n"
			    "user root quota=0(max_size) default\n"
			    "user * quota=2M() x.conf:12\n");
}

static void
what_is_refused_in_a_section_leaves_where_it_stood(void **state)
{
	static const char text[] = "[user 7]\nquota = 2M\nquota = 1\n";
	struct conf conf;

	(void)state;
	assert_int_equal(read_text(&conf, text, sizeof(text) - 1), -1);
	assert_shown(&conf, "user 7 quota=2M() x.conf:2\n");
}

static void
each_file_names_its_own_settings(void **state)
{
	static const char text[] = "[user 7]\nquota = 2M\n";
	static const char more[] = "[user 8]\nquota = 2M\n[user 9]\nquota = 3M\n";
	char name[CONF_PATH_MAX], expected[512];
	FILE *stream = fmemopen((char *)(uintptr_t)more, sizeof(more) - 1, "r");
	struct conf conf;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(read_text(&conf, text, sizeof(text) - 1), 0);
	assert_int_equal(conf_read_stream(&conf, stream, name, &error), 0);
	fclose(stream);
	snprintf(expected, sizeof(expected),
		 "user 7 quota=2M() x.conf:2\nuser 8 quota=2M() %.200s:2\n"
		 "user 9 quota=3M() %.200s:4\n",
		 name, name);
	assert_shown(&conf, expected);
}

/* Refused, because a cut one would show what is not so. */
static void
the_texts_of_sections_have_a_bound(void **state)
{
	static char text[2 * CONF_TEXTS_SIZE];
	struct conf conf;
	size_t len = 0;

	(void)state;
	for (int i = 0; i < 60; i++) {
		len += (size_t)sprintf(text + len, "[namespace /n%d]\nwriters=", i);
		memset(text + len, ' ', 3000);
		for (int j = 0; j < 3000; j += 2)
			text[len + (size_t)j] = '7';
		len += 3000;
		text[len++] = '\n';
	}
	assert_int_equal(read_text(&conf, text, len), -1);
	assert_non_null(strstr(error.text, "more than 128 KiB of users, of lists"));
	assert_int_equal(conf.tenants.namespaces_said[0][CONF_NAMESPACE_writers].line, 2);
}

static void
a_line_that_is_too_long_is_not_cut_in_two(void **state)
{
	static char text[2 * CONF_PATH_MAX];
	struct conf conf;

	(void)state;
	memset(text, ' ', sizeof(text));
	memcpy(text, "data = /", 8);
	memset(text + 8, 'd', CONF_PATH_MAX);
	memcpy(text + sizeof(text) - 14, "\nmin_free = 9\n", 14);
	assert_int_equal(read_text(&conf, text, sizeof(text)), -1);
	assert_string_equal(error.text,
			    "x.conf:1: the line is too long, or has a NUL byte in it");
	/* the longest path that there is, is read whole */
	memset(text + 8 + CONF_PATH_MAX - 2, '\n', sizeof(text) - 8 - CONF_PATH_MAX + 2);
	assert_int_equal(read_text(&conf, text, sizeof(text)), 0);
	assert_int_equal(strlen(conf.data), CONF_PATH_MAX - 1);
}

static void
a_nul_byte_does_not_hide_the_rest_of_its_line(void **state)
{
	static const char text[] = "min_free = 9\0max_size = rubbish\nmin_free = 10\n";
	struct conf conf;

	(void)state;
	assert_int_equal(read_text(&conf, text, sizeof(text) - 1), -1);
}

static void
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void
a_folder_is_read_in_the_order_of_names(void **state)
{
	char folder[] = "/tmp/brine-conf-XXXXXX";
	char path[128];
	struct conf conf;
	static const char *const names[] = { "20-b.conf", "10-a.conf", "30-c.txt",
					     ".40.conf" };

	(void)state;
	assert_non_null(mkdtemp(folder));
	for (int i = 0; i < 4; i++) {
		char text[32];

		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		snprintf(text, sizeof(text), "min_free = %d\n", 20 + i);
		write_file(path, text);
	}
	conf_defaults(&conf);
	assert_int_equal(conf_read_folder(&conf, folder, &error), 0);
	assert_int_equal(conf.min_free_percent, 20);
	snprintf(path, sizeof(path), "%s/10-a.conf", folder);
	write_file(path, "nonsense\n");
	assert_int_equal(conf_read_folder(&conf, folder, &error), -1);
	assert_non_null(strstr(error.text, "/10-a.conf:1: not of the form"));
	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
	assert_int_equal(conf_read_folder(&conf, folder, &error), 0);
}

static void
a_missing_file_is_an_error_that_says_so(void **state)
{
	struct conf conf;

	(void)state;
	conf_defaults(&conf);
	assert_int_equal(conf_read_file(&conf, "/nonexistent/b.conf", &error), -1);
	assert_string_equal(
		error.text,
		"/nonexistent/b.conf: cannot be read: No such file or directory");
}

/* ---- the options together */

static void
max_value_must_fit_into_max_size(void **state)
{
	struct conf conf;

	(void)state;
	conf_defaults(&conf);
	assert_int_equal(conf_check(&conf, &error), 0);
	conf_set(&conf, "max_value=128M", "--set", &error);
	assert_int_equal(conf_check(&conf, &error), 0);
	conf_set(&conf, "max_size=64M", "--set", &error);
	assert_int_equal(conf_check(&conf, &error), -1);
	assert_string_equal(error.text,
			    "max_value is 128M, more than max_size, which is 64M: "
			    "such a value could never fit");
}

static void
collect_change(const struct conf_item *item, void *arg)
{
	char *text = arg;
	size_t len = strlen(text);

	snprintf(text + len, 256 - len, "%s=%s%s;", item->name, item->value,
		 item->live ? "" : " (start)");
}

static void
a_reload_tells_live_options_from_others(void **state)
{
	struct conf old, new;
	char text[256] = "";

	(void)state;
	conf_defaults(&old);
	new = old;
	conf_reload_diff(&old, &new, collect_change, text);
	assert_string_equal(text, "");
	conf_set(&new, "max_size=1024M", "--set", &error);
	conf_set(&new, "socket=/run/x", "--set", &error);
	conf_set(&new, "commit_delay=0", "--set", &error);
	conf_reload_diff(&old, &new, collect_change, text);
	assert_string_equal(text, "max_size=1G;commit_delay=0;socket=/run/x (start);");
}

static void
set_it_again(const struct conf_item *item, void *arg)
{
	assert_string_equal(item->value, item->initial);
	assert_int_equal(conf_set_option(arg, item->name, item->value, "x", &error), 0);
}

/* Wherever they stood. */
static void
assert_same_values(const struct conf *conf, const struct conf *other)
{
	struct conf copies[] = { *conf, *other };

	memset(copies[0].origins, 0, sizeof(copies[0].origins));
	memset(copies[1].origins, 0, sizeof(copies[1].origins));
	assert_memory_equal(&copies[0], &copies[1], sizeof(copies[0]));
}

static void
check_origin(const struct conf_item *item, void *arg)
{
	const char *expected = "default";

	(void)arg;
	if (strcmp(item->name, "max_size") == 0)
		expected = "file:2";
	else if (strcmp(item->name, "socket") == 0)
		expected = "--socket";
	assert_string_equal(item->origin, expected);
}

static void
an_option_knows_where_its_value_stood(void **state)
{
	static const char text[] = "max_size = 1G\nmax_size = 2G\n";
	FILE *stream = fmemopen((char *)text, sizeof(text) - 1, "r");
	struct conf conf;

	(void)state;
	conf_defaults(&conf);
	assert_int_equal(conf_read_stream(&conf, stream, "file", &error), 0);
	fclose(stream);
	assert_int_equal(conf_set_option(&conf, "socket", "/run/x", "--socket", &error),
			 0);
	/* What is refused leaves the value, and so its origin, as it was. */
	assert_int_equal(conf_set(&conf, "max_size=1", "--set", &error), -1);
	conf_each(&conf, check_origin, NULL);
}

static void
a_printed_value_can_be_set_again(void **state)
{
	struct conf conf, again;

	(void)state;
	conf_defaults(&conf);
	conf_defaults(&again);
	conf_each(&conf, set_it_again, &again);
	assert_same_values(&conf, &again);
}

/* ---- the texts */

/* The file with each run of white space as one space and the comment signs of brined.conf gone. */
static char *
read_flat(const char *path)
{
	static char flat[65536];
	FILE *file = fopen(path, "re");
	size_t len = 0;
	int byte;
	bool line_start = true;

	assert_non_null(file);
	while ((byte = getc(file)) != EOF && len < sizeof(flat) - 2) {
		bool blank = isspace(byte);

		if (!(line_start && byte == '#') &&
		    !(blank && len && flat[len - 1] == ' '))
			flat[len++] = blank ? ' ' : (char)byte;
		line_start = byte == '\n';
	}
	fclose(file);
	flat[len] = '\0';
	return flat;
}

struct page {
	const char *path, *text;
	const char *entry; /* what stands before the option's name */
};

static void
find_in_page(const struct conf_item *item, void *arg)
{
	const struct page *page = arg;
	char wanted[3][256];

	snprintf(wanted[0], sizeof(wanted[0]), "%s %s =", page->entry, item->name);
	snprintf(wanted[1], sizeof(wanted[1]), "%s", item->help);
	snprintf(wanted[2], sizeof(wanted[2]), "Allowed: %s.", item->allowed);
	for (int i = 0; i < 3; i++)
		if (!strstr(page->text, wanted[i]))
			fail_msg("%s does not say: %s", page->path, wanted[i]);
}

static void
the_manual_page_says_what_the_table_says(void **state)
{
	struct page page = { .path = "man/brined.conf.5", .entry = ".It Cm" };
	struct conf conf;

	(void)state;
	page.text = read_flat(page.path);
	conf_defaults(&conf);
	conf_each(&conf, find_in_page, &page);
}

static void
find_key_in_page(const struct conf_key *key, void *arg)
{
	const struct page *page = arg;
	char wanted[4][256];

	snprintf(wanted[0], sizeof(wanted[0]), ".It Cm %s =", key->name);
	snprintf(wanted[1], sizeof(wanted[1]), "%s", key->help);
	snprintf(wanted[2], sizeof(wanted[2]), "Allowed: %s.", key->allowed);
	snprintf(wanted[3], sizeof(wanted[3]), "Default: %s.", key->initial);
	for (int i = 0; i < 4; i++)
		if (!strstr(page->text, wanted[i]))
			fail_msg("%s does not say: %s", page->path, wanted[i]);
}

static void
the_manual_page_says_what_may_stand_in_sections(void **state)
{
	struct page page = { .path = "man/brined.conf.5" };

	(void)state;
	page.text = read_flat(page.path);
	conf_each_key(find_key_in_page, &page);
}

static void
find_default_in_page(const struct conf_item *item, void *arg)
{
	const struct page *page = arg;
	char wanted[256];

	snprintf(wanted, sizeof(wanted), "%s %s = %s",
		 item->live ? "At once." : "start on.", item->name, item->initial);
	if (!strstr(page->text, wanted))
		fail_msg("%s does not say: %s", page->path, wanted);
}

static void
the_example_file_says_what_the_table_says(void **state)
{
	struct page page = { .path = "conf/brined.conf", .entry = "" };
	struct conf conf;

	(void)state;
	page.text = read_flat(page.path);
	conf_defaults(&conf);
	conf_each(&conf, find_in_page, &page);
	conf_each(&conf, find_default_in_page, &page);
}

/* The example with the signs taken from its assignments. */
static void
the_example_file_sets_every_option_to_its_default(void **state)
{
	char line[512], text[16384];
	FILE *file = fopen("conf/brined.conf", "re");
	struct conf conf, defaults;
	size_t len = 0, count = 0;

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		bool assignment = line[0] == '#' && islower((unsigned char)line[1]);

		count += assignment;
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s",
					line + assignment);
		assert_true(len < sizeof(text));
	}
	fclose(file);
	assert_in_range(count, 10, 100);
	conf_defaults(&defaults);
	assert_int_equal(read_text(&conf, text, len), 0);
	assert_same_values(&conf, &defaults);
	assert_int_equal(conf_read_file(&conf, "conf/brined.conf", &error), 0);
	assert_same_values(&conf, &defaults);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_powers_of_1024),
		cmocka_unit_test(other_texts_are_no_sizes),
		cmocka_unit_test(durations_have_units_that_descend),
		cmocka_unit_test(other_texts_are_no_durations),
		cmocka_unit_test(formatted_numbers_parse_to_themselves),
		cmocka_unit_test(defaults_are_those_of_the_table),
		cmocka_unit_test(an_assignment_sets_its_option),
		cmocka_unit_test(a_refusal_names_value_and_range_and_changes_nothing),
		cmocka_unit_test(an_unknown_option_suggests_the_nearest),
		cmocka_unit_test(a_refused_text_of_any_length_stays_in_its_bounds),
		cmocka_unit_test(a_file_sets_its_options_and_the_later_line_wins),
		cmocka_unit_test(an_error_in_a_file_names_file_and_line),
		cmocka_unit_test(a_section_declares_a_namespace),
		cmocka_unit_test(
			without_pickle_nothing_is_admitted_that_is_loaded_like_it),
		cmocka_unit_test(an_error_in_a_section_says_what_is_allowed),
		cmocka_unit_test(names_of_sections_have_their_bounds),
		cmocka_unit_test(there_are_only_so_many_of_everything),
		cmocka_unit_test(a_namespace_that_nobody_could_use_is_an_error),
		cmocka_unit_test(a_section_that_stands_twice_goes_on),
		cmocka_unit_test(a_reload_names_the_sections_that_changed),
		cmocka_unit_test(a_line_that_moves_changes_no_section),
		cmocka_unit_test(a_section_shows_each_setting_and_where_it_stood),
		cmocka_unit_test(what_is_refused_in_a_section_leaves_where_it_stood),
		cmocka_unit_test(each_file_names_its_own_settings),
		cmocka_unit_test(the_texts_of_sections_have_a_bound),
		cmocka_unit_test(a_line_that_is_too_long_is_not_cut_in_two),
		cmocka_unit_test(a_nul_byte_does_not_hide_the_rest_of_its_line),
		cmocka_unit_test(a_folder_is_read_in_the_order_of_names),
		cmocka_unit_test(a_missing_file_is_an_error_that_says_so),
		cmocka_unit_test(max_value_must_fit_into_max_size),
		cmocka_unit_test(a_reload_tells_live_options_from_others),
		cmocka_unit_test(an_option_knows_where_its_value_stood),
		cmocka_unit_test(a_printed_value_can_be_set_again),
		cmocka_unit_test(the_manual_page_says_what_the_table_says),
		cmocka_unit_test(the_manual_page_says_what_may_stand_in_sections),
		cmocka_unit_test(the_example_file_says_what_the_table_says),
		cmocka_unit_test(the_example_file_sets_every_option_to_its_default),
	};
	return unit_run(tests);
}
