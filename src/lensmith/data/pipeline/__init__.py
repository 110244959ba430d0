"""The feed: records → batches, from files or from functions, faster than training asks for them."""
