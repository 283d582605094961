/* A holder that was cut off, or whose daemon was started anew, comes back, and may then hang past its lease time. */
#define CLIENTS 2
#define FIRST(i) 0
#define INNER(i) 0
#define REMOVED 0
#define TIMED(i) ((i) == 0)
#define FAULTS 2
#define FAILURES 0
#define DELETES 0
#define EXITS 1
#include "lease.pml"
