/* Three clients want one key, while they die, are cut off, fail, and strangers delete and put. */
#define FIRST(i) 0
#define INNER(i) 0
#define REMOVED 0
#define FAULTS 1
#define FAILURES 2
#define DELETES 1
#define PUTS 0
#include "lease.pml"
