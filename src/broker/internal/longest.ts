/**
 * The longest time that anything may take in RabbitMQ, whose timers go no further: ten years, in milliseconds.
 *
 * @internal
 */
export const longest = 315_360_000_000
