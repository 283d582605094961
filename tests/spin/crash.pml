/* An orderly exit and a crash, in any order, over one key. */
#define CLIENTS 2
#define FIRST(i) 0
#define INNER(i) 0
#define ASKS(i) 2
#define FAULTS 1
#define FAILURES 1
#define DELETES 1
#define REMOVED 0
#define EXITS 1
#define CRASHES 1
#include "lease.pml"
