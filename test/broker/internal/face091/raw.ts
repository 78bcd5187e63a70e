/** Properties as the face has them. */
import { makeCodec, type RawProperties } from "../../../../src/amqp091/internal/rawProperties.ts"
import * as Properties from "../../../../src/amqp091/Properties.ts"
import { ByteReader } from "../../../../src/wire/ByteReader.ts"
import { ByteWriter } from "../../../../src/wire/ByteWriter.ts"

export const rawOf = (properties: Properties.BasicProperties): RawProperties => {
  const writer = new ByteWriter()
  Properties.encodeHeader(writer, 0, properties)
  return makeCodec().read(new ByteReader().reset(writer.toBytes())).properties
}
