-- SPDX-License-Identifier: Apache-2.0
--
-- Admin keys hold every right unless somebody said otherwise, and many rights are new: ledger.read, ledger.write and
-- those of Portkey's table. A key whose rights are exactly those that admin keys were born with until now was not
-- restricted by anybody, so it gets them; a key that was given fewer keeps what it was given. Rights are bits,
-- least significant first: 0 to 4 until now, up to 144 from now on. Kind 1 is admin.
UPDATE api_key
SET scopes = X'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF0100000000000000000000000000'
WHERE kind = 1 AND scopes = X'1F00000000000000000000000000000000000000000000000000000000000000';
