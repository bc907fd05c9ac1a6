-- The atomic parts of the lanes. KEYS: queue (sorted set of members), lock (token), both in one hash slot.
-- ARGV[1]: push | start | renew | done | release; ARGV[2]: token; ARGV[3]: lease in ms; ARGV[4]: most members of a batch.
-- push: ARGV[5..]: score, member, score, member ...
-- Members that begin with "!" have been cut short before: each makes a batch of its own, so that it cannot take others along.

local queue, lock = KEYS[1], KEYS[2]
local act, token, lease, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

local function pop()
  local size = redis.call('ZCARD', queue)
  local newest = {}
  if size > 2 * most then -- a backlog: one in five is among the newest, so that a fresh alert does not wait behind it
    newest = redis.call('ZPOPMAX', queue, math.floor(most / 5))
  end
  local oldest = redis.call('ZPOPMIN', queue, most - #newest / 2)
  local batch, alone = {}, nil
  if #oldest > 0 and string.sub(oldest[1], 1, 1) == '!' then -- its turn has come; the others were not popped yet
    for _, popped in ipairs({oldest, newest}) do
      for i = (popped == oldest) and 3 or 1, #popped, 2 do
        redis.call('ZADD', queue, 'NX', popped[i + 1], popped[i])
      end
    end
    return {oldest[1]}
  end
  for _, popped in ipairs({oldest, newest}) do
    for i = 1, #popped, 2 do
      local member, score = popped[i], popped[i + 1]
      if string.sub(member, 1, 1) ~= '!' then
        batch[#batch + 1] = member
      elseif alone == nil then
        alone = {member, score}
      else
        redis.call('ZADD', queue, 'NX', score, member)
      end
    end
  end
  if alone and #batch > 0 then
    redis.call('ZADD', queue, 'NX', alone[2], alone[1])
  elseif alone then
    batch[1] = alone[1]
  end
  return batch
end

if act == 'push' then
  for i = 5, #ARGV, 2 do
    redis.call('ZADD', queue, 'NX', ARGV[i], ARGV[i + 1])
  end
end

if act == 'push' or act == 'start' then
  if redis.call('EXISTS', lock) == 1 or redis.call('ZCARD', queue) == 0 then
    return {}
  end
  redis.call('SET', lock, token, 'PX', lease)
  return pop()
end

-- The rest is for the holder alone. The holder's own token is ARGV[5], a following batch's is ARGV[2].
if redis.call('GET', lock) ~= ARGV[5] then
  return {}
end
if act == 'renew' then
  redis.call('PEXPIRE', lock, lease)
  return {'1'}
end
if act == 'release' or redis.call('ZCARD', queue) == 0 then
  redis.call('DEL', lock)
  return {}
end
redis.call('SET', lock, token, 'PX', lease)
return pop()
