/** Random constraints under random transactions, against a plain model. */
import { describe, expect, it } from 'vitest'
import { campaign } from './campaign.js'

describe('random constraints', () => {
  it('accept, change and refuse what a plain model does', () => {
    const { applied, refused } = campaign(3, 8, 30)
    expect(applied).toBeGreaterThan(40)
    expect(refused).toBeGreaterThan(40)
  })
})
