-- A token bucket, full at first. It lives as long as it needs to be full again, for then it says nothing.
-- KEYS: the bucket. ARGV: tokens wanted, capacity, tokens per second.
-- Returns "0" if they were taken, else the seconds until they could be, as a text: Redis cuts numbers to whole ones.

local wanted, capacity, per_second = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME') -- Redis' own, so that the clocks of many hosts do not matter
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000

local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(kept[1] or capacity), tonumber(kept[2] or now)
tokens = math.min(capacity, tokens + math.max(0, now - at) * per_second)

if tokens < wanted then
    return string.format('%.6f', math.max(0.001, (wanted - tokens) / per_second))
end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens - wanted), 'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(capacity / per_second * 1000) + 1000)
return '0'
