/**
 * The methods of class tx.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * Makes the channel transactional.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TxSelect = Schema.Struct({ _tag: Schema.tag("TxSelect") }).annotations({ identifier: "TxSelect" })

/**
 * @since 0.1.0
 * @category models
 */
export interface TxSelect extends Schema.Schema.Type<typeof TxSelect> {}

/**
 * The channel is transactional.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TxSelectOk = Schema.Struct({ _tag: Schema.tag("TxSelectOk") }).annotations({ identifier: "TxSelectOk" })

/**
 * @since 0.1.0
 * @category models
 */
export interface TxSelectOk extends Schema.Schema.Type<typeof TxSelectOk> {}

/**
 * Makes what was published and acknowledged since the last commit hold.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TxCommit = Schema.Struct({ _tag: Schema.tag("TxCommit") }).annotations({ identifier: "TxCommit" })

/**
 * @since 0.1.0
 * @category models
 */
export interface TxCommit extends Schema.Schema.Type<typeof TxCommit> {}

/**
 * It holds.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TxCommitOk = Schema.Struct({ _tag: Schema.tag("TxCommitOk") }).annotations({ identifier: "TxCommitOk" })

/**
 * @since 0.1.0
 * @category models
 */
export interface TxCommitOk extends Schema.Schema.Type<typeof TxCommitOk> {}

/**
 * Takes back what was published and acknowledged since the last commit.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TxRollback = Schema.Struct({ _tag: Schema.tag("TxRollback") }).annotations({ identifier: "TxRollback" })

/**
 * @since 0.1.0
 * @category models
 */
export interface TxRollback extends Schema.Schema.Type<typeof TxRollback> {}

/**
 * It is taken back.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TxRollbackOk = Schema.Struct({ _tag: Schema.tag("TxRollbackOk") }).annotations({
  identifier: "TxRollbackOk"
})

/**
 * @since 0.1.0
 * @category models
 */
export interface TxRollbackOk extends Schema.Schema.Type<typeof TxRollbackOk> {}
