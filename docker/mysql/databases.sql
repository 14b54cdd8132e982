-- The shop's database and the collector's, which share no transaction.
CREATE DATABASE IF NOT EXISTS commerce;
CREATE DATABASE IF NOT EXISTS commerce_olap;
GRANT ALL PRIVILEGES ON commerce.* TO 'commerce'@'%';
GRANT ALL PRIVILEGES ON commerce_olap.* TO 'commerce'@'%';
