/* Gives every set of bitcode at least one member. */
typedef int ingot_nothing;
