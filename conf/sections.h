/* sections.h - what the sections of the configuration come to, setting by setting, for printing. Pure. */
#ifndef CONF_SECTIONS_H
#define CONF_SECTIONS_H

#include "conf/tenants.h"

/* The texts are borrowed during the callback. */
struct conf_setting {
	const char *kind;    /* "namespace" or "user" */
	const char *section; /* "/models", "alice", "*" */
	const char *name;
	const char *
		value; /* as the file takes it: a list as it stood there, with one form of blanks */
	const char *
		effect; /* where the value is none: what is so then, "max_size"; "" otherwise */
	const char *origin; /* "/etc/brine/brined.conf:12", or "default" */
};

/* Calls back for each setting of each section, given or not, the namespaces first, in the order of the files. */
void conf_each_setting(const struct conf_tenants *tenants,
		       void (*each)(const struct conf_setting *setting, void *arg),
		       void *arg);

#endif
