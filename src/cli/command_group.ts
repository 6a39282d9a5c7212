/**
 * The headings under which `fluxiondb --help` lists its commands, in their order.
 */
export const GROUP_SERVER = "Server:";
export const GROUP_READ = "Read:";
export const GROUP_WRITE = "Write and delete:";
export const GROUP_VALUES = "Key-values:";
export const GROUP_KEYS = "API keys:";
export const GROUP_ARCHIVE = "Archives:";
export const GROUP_SHELL = "Shell:";
